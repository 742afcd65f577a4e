package controllers

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// fieldSchema is what the CRD says of a value.
type fieldSchema = apiextensionsv1.JSONSchemaProps

// specSchema is that of a LogPipeline's spec.
func specSchema(t *testing.T) fieldSchema {
	t.Helper()
	document, err := os.ReadFile(filepath.Join("..", "config", "crd", "bases", "ingest.logpipeline.io_logpipelines.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(document, &crd); err != nil {
		t.Fatal(err)
	}
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
}

// generator makes random values by a schema, so that a field which is new is
// changed as well. Most are valid, some just not.
type generator struct{ *rand.Rand }

func (g generator) oneIn(n int) bool { return g.IntN(n) == 0 }

// wrong is seldom true, and the less the deeper a value is: with one wrong
// part the whole is refused.
func (g generator) wrong(depth int) bool { return g.oneIn(10 + 40*depth) }

func pick[T any](g generator, from []T) T { return from[g.IntN(len(from))] }

// change returns value with one thing in it changed, and where that is. A
// value that is left out is nil.
func (g generator) change(s fieldSchema, path string, value any) (changed any, where string) {
	object, _ := value.(map[string]any)
	list, _ := value.([]any)
	switch {
	case path != "spec" && value != nil && g.oneIn(12):
		return nil, path
	case object != nil && s.Properties != nil && (path == "spec" || !g.oneIn(12)):
		name := pick(g, slices.Sorted(maps.Keys(s.Properties)))
		return g.changeIn(object, name, s.Properties[name], path+"."+name)
	case len(object) > 0 && s.AdditionalProperties != nil && !g.oneIn(3):
		name := pick(g, slices.Sorted(maps.Keys(object)))
		return g.changeIn(object, name, *s.AdditionalProperties.Schema, path+"{}")
	case len(list) > 0 && !g.oneIn(3):
		return g.changeList(s, path, list)
	default:
		return g.value(s, path, 0), path
	}
}

func (g generator) changeIn(object map[string]any, name string, s fieldSchema, path string) (map[string]any, string) {
	inner, where := g.change(s, path, object[name])
	changed := maps.Clone(object)
	changed[name] = inner
	if inner == nil {
		delete(changed, name)
	}
	return changed, where
}

func (g generator) changeList(s fieldSchema, path string, list []any) ([]any, string) {
	i := g.IntN(len(list))
	switch g.IntN(4) {
	case 0:
		return slices.Delete(slices.Clone(list), i, i+1), path + "[]"
	case 1:
		return append(slices.Clone(list), list[i]), path + "[]"
	case 2:
		return append(slices.Clone(list), g.value(*s.Items.Schema, path+"[]", 0)), path + "[]"
	default:
		inner, where := g.change(*s.Items.Schema, path+"[]", list[i])
		if inner == nil {
			return slices.Delete(slices.Clone(list), i, i+1), where
		}
		changed := slices.Clone(list)
		changed[i] = inner
		return changed, where
	}
}

// value is a new one.
func (g generator) value(s fieldSchema, path string, depth int) any {
	if choice := known(path); choice != nil {
		return pick(g, choice)
	}
	switch {
	case len(s.Enum) > 0:
		return g.choice(s, depth)
	case s.XIntOrString:
		return pick(g, quantities)
	case s.Type == "object" && s.Properties != nil:
		return g.object(s, path, depth)
	case s.Type == "object":
		return g.dictionary(s, path, depth)
	case s.Type == "array":
		return g.list(s, path, depth)
	case s.Type == "boolean":
		return g.oneIn(2)
	case s.Type == "integer":
		return g.number(s, depth)
	default:
		return g.text(s, depth)
	}
}

// object has what is required, and of the rest the less the deeper it is.
func (g generator) object(s fieldSchema, path string, depth int) map[string]any {
	object := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if slices.Contains(s.Required, name) || g.oneIn(2+2*depth) {
			object[name] = g.value(s.Properties[name], path+"."+name, depth+1)
		}
	}
	return object
}

func (g generator) dictionary(s fieldSchema, path string, depth int) map[string]any {
	object := map[string]any{}
	if s.AdditionalProperties == nil {
		return object // such as external: {}
	}
	for range g.IntN(3) {
		object[pick(g, keys(path))] = g.value(*s.AdditionalProperties.Schema, path+"{}", depth+1)
	}
	return object
}

func (g generator) list(s fieldSchema, path string, depth int) []any {
	length := g.IntN(3)
	if s.MinItems != nil && depth > 0 {
		length = max(length, int(*s.MinItems))
	}
	if s.MaxItems != nil && g.wrong(depth) {
		length = int(min(*s.MaxItems, 32)) + g.IntN(2)
	}
	list := []any{}
	for range length {
		list = append(list, g.value(*s.Items.Schema, path+"[]", depth+1))
	}
	return list
}

func (g generator) choice(s fieldSchema, depth int) any {
	if g.wrong(depth) {
		return "Unknown"
	}
	return strings.Trim(string(pick(g, s.Enum).Raw), `"`)
}

// number is within the bounds, often one of them, and seldom just outside.
func (g generator) number(s fieldSchema, depth int) any {
	least, most := int64(0), int64(1000)
	if s.Minimum != nil {
		least = int64(*s.Minimum)
	}
	if s.Maximum != nil {
		most = int64(*s.Maximum)
	}
	if g.wrong(depth) {
		return pick(g, []int64{least - 1, most + 1})
	}
	return pick(g, []int64{least, min(least+1, most), min(least+g.Int64N(5), most), min(20, most), most})
}

// words are texts of all sorts; each pattern of the schema takes one at least.
var words = []string{
	"a", "b", "orders", "a-b", "A.b_c", "0", "0.5", "1", "a.b/c", "level", "X-Tenant", "host:9092",
	"s3://bucket/a", "", "a b", "ü", "$HOSTNAME", "-", "{}", "'\"\\", strings.Repeat("a", 63), strings.Repeat("a", 300),
}

func (g generator) text(s fieldSchema, depth int) any {
	if s.MaxLength != nil && g.wrong(depth) {
		return strings.Repeat("a", int(min(*s.MaxLength, 5000))+g.IntN(2))
	}
	if s.Pattern == "" || g.wrong(depth) {
		return pick(g, words)
	}
	if matching := matchingWords(s.Pattern); len(matching) > 0 {
		return pick(g, matching)
	}
	return pick(g, words)
}

func matchingWords(pattern string) []string {
	matches := regexp.MustCompile(pattern)
	return slices.DeleteFunc(slices.Clone(words), func(word string) bool { return !matches.MatchString(word) })
}

var quantities = []any{
	"1", "1Ki", "1Mi", "16Mi", "64Mi", "128Mi", "256Mi", "0.25Gi", "1Gi", "10Gi", "2e9", "100m", "1500m", "0", "-1", "0.5", "8Ei", int64(1000000),
}

// keys of a map.
func keys(path string) []string {
	switch {
	case strings.HasSuffix(path, ".config"):
		return []string{"retention.ms", "retention.bytes", "cleanup.policy", "max.message.bytes", "min.insync.replicas", "unclean.leader.election.enable", "segment.ms"}
	case strings.HasSuffix(path, ".requests"), strings.HasSuffix(path, ".limits"):
		return []string{"memory", "cpu", "ephemeral-storage", "example.com/device", "nonsense"}
	default:
		return []string{"example.com/a", "example.com/b", "team", "a b", "app.kubernetes.io/name", "ingest.logpipeline.io/a"}
	}
}

// What stands for the broker's port, which is another one for each Kafka.
const (
	broker       = "127.0.0.1:0000"
	brokerByName = "localhost:0000"
)

// known are values for what refers to something else than the spec.
func known(path string) []any {
	for suffix, values := range map[string][]any{
		".bootstrapServers[]": {broker, broker, brokerByName},
		"SecretRef.name":      {"credentials", "credentials", "others", "others", "absent"},
		"caSecretRef.key":     {"ca.crt", "tls.crt", "absent"},
		"spec.suspend":        {false, false, false, true},
		".claimName":          {"claim", "claim", "other"},
		".objectStore.url":    {"s3://bucket/prefix", "s3://bucket/prefix?region=a", "gs://bucket", "azblob://container"},
		".partitions":         {int64(1), int64(2), int64(3), int64(4), int64(6), int64(0)},
		".replicationFactor":  {int64(1), int64(1), int64(1), int64(3), int64(0)},
		".topic.name":         {"named", "named", "theirs"},
		".config{}":           {"1000", "2", "2000000", "delete", "compact", "true", "false", ""},
		".cidr":               {"10.0.0.0/8", "::/0", "nowhere"},
		".protocol":           {"TCP", "UDP", "ICMP"},
		".operator":           {"In", "Exists", "Equal", "Near"},
		".effect":             {"NoSchedule", "NoExecute", "Whatever"},
		".topologyKey":        {"kubernetes.io/hostname"},
		".ports[].port":       {int64(9092), "kafka", int64(70000)},
		".quantiles[]":        {"0.5", "0.99", "1", "2"},
	} {
		if strings.HasSuffix(path, suffix) {
			return values
		}
	}
	return nil
}

// A pattern that no word matches would leave its field unchanged.
func TestGeneratorHasAWordForEveryPattern(t *testing.T) {
	var walk func(s fieldSchema, path string)
	walk = func(s fieldSchema, path string) {
		if s.Type == "string" && s.Pattern != "" && known(path) == nil && len(matchingWords(s.Pattern)) == 0 {
			t.Errorf("%s: no word matches %q", path, s.Pattern)
		}
		for name, inner := range s.Properties {
			walk(inner, path+"."+name)
		}
		if s.Items != nil {
			walk(*s.Items.Schema, path+"[]")
		}
		if s.AdditionalProperties != nil {
			walk(*s.AdditionalProperties.Schema, path+"{}")
		}
	}
	walk(specSchema(t), "spec")
}

// Each field of the spec is changed sooner or later.
func TestGeneratorReachesEveryField(t *testing.T) {
	s, g := specSchema(t), generator{rand.New(rand.NewPCG(1, 1))}
	reached := map[string]bool{}
	for range 5_000 {
		_, where := g.change(s, "spec", g.object(s, "spec", 0))
		reached[where] = true
	}
	for section, inner := range s.Properties {
		for name := range inner.Properties {
			if path := fmt.Sprintf("spec.%s.%s", section, name); !slices.ContainsFunc(slices.Collect(maps.Keys(reached)), func(where string) bool {
				return strings.HasPrefix(where, path)
			}) {
				t.Errorf("%s is never changed", path)
			}
		}
	}
}
