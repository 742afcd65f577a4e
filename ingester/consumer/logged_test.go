package consumer_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logpipeline/logpipeline/ingester/config"
)

// passwordOf sets what a process authenticates with, from files.
func passwordOf(t *testing.T, user, password string) func(*config.Config) {
	t.Helper()
	dir := t.TempDir()
	sasl := config.KafkaSASL{Mechanism: config.SASLPlain, UsernameFile: filepath.Join(dir, "username"), PasswordFile: filepath.Join(dir, "password")}
	for path, content := range map[string]string{sasl.UsernameFile: user, sasl.PasswordFile: password} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(cfg *config.Config) { cfg.Kafka.SASL = sasl }
}

func TestWhyThereIsNoTopicYetIsLogged(t *testing.T) {
	t.Parallel()
	secure, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "pipeline", "secret"), kfake.SeedTopics(1, "logs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(secure.Close)
	refusing, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "pipeline", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(refusing.Close)
	// A real broker says why, where this one would end the connection.
	refusing.ControlKey(int16(kmsg.SASLAuthenticate), func(request kmsg.Request) (kmsg.Response, error, bool) {
		refusing.KeepControl()
		response := request.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		response.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return response, nil, true
	})
	for name, test := range map[string]struct {
		servers []string
		change  func(*config.Config)
		says    string
	}{
		"no topic":                        {newFake(t).ListenAddrs(), func(*config.Config) {}, "topic is not there yet; trying again"},
		"no broker":                       {[]string{"127.0.0.1:1"}, func(*config.Config) {}, "brokers cannot be reached; trying again"},
		"another password":                {refusing.ListenAddrs(), passwordOf(t, "pipeline", "guessed"), "brokers refuse the credentials that kafka.sasl and kafka.tls name; trying again"},
		"no password":                     {secure.ListenAddrs(), func(*config.Config) {}, "may ask for TLS or SASL"},
		"another password, and no answer": {secure.ListenAddrs(), passwordOf(t, "pipeline", "guessed"), "not take the name and password"},
		"the password":                    {secure.ListenAddrs(), passwordOf(t, "pipeline", "secret"), "partitions assigned"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(&topic{t: t, servers: test.servers, name: "logs"}, t.TempDir(), test.change)
			eventually(t, "say why", p.log.says(test.says))
		})
	}
}

// Of a dynamic member that was killed the group hears when its session is over.
func TestWaitingForTheGroupIsLogged(t *testing.T) {
	t.Parallel()
	b := newTopic(t, realBroker(t), 2)
	dir := t.TempDir()
	stored := func() { b.produce(0, 100); waitStored(b, dir) }
	kill := startChild(b, dir, static("", 10))
	stored()
	kill()
	p := start(b, dir, static("", 10))
	eventually(t, "say that it waits", p.log.says("level=INFO", "waiting for the group", "killed", "session_timeout=10s"))
	stored()
}

// Only who leads the generation knows how many members it has.
func TestNumberOfMembersIsLoggedWhereItIsKnown(t *testing.T) {
	t.Parallel()
	b := newTopic(t, realBroker(t), 2)
	dir := t.TempDir()
	older := start(b, dir, static("pod", 60))
	eventually(t, "say that it leads", older.log.says("partitions assigned", "members=1"))
	younger := start(b, dir, static("pod", 60)) // as after a restart
	_ = older.wait()                            // it is fenced
	eventually(t, "join again", younger.log.says("partitions assigned"))
	if err := younger.log.says("members=0")(); err == nil {
		t.Error("no members, it says")
	}
	b.produce(0, 100)
	waitStored(b, dir)
}
