package scaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/logpipeline/logpipeline/ingester/signal"
)

// Pod is a process of the data path.
type Pod struct {
	Name string
	// Address is host:port of its admin listener.
	Address string
	// Starting and Terminating pods are not asked for their load; Starting is
	// also what one says that runs and isn't ready.
	Starting, Terminating bool
}

// answered is what a pod said, and when it had said it.
type answered struct {
	pod string
	at  time.Time
	signal.Signals
}

const (
	askTimeout = 3 * time.Second
	// askAtOnce bounds how many pods are asked at a time, of all pipelines.
	askAtOnce = 64
	// largestAnswer is that of a consumer with ten thousand partitions.
	largestAnswer = 4 << 20
)

// scraper asks pods for their signals.
type scraper struct {
	client *http.Client
	turns  chan struct{}
}

func newScraper() *scraper {
	transport := &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute}
	return &scraper{client: &http.Client{Transport: transport, Timeout: askTimeout}, turns: make(chan struct{}, askAtOnce)}
}

func (s *scraper) close() { s.client.CloseIdleConnections() }

// ask asks the pods that neither start nor terminate. The error says that none
// of them answered, or less than half; without any pod there is none.
func (s *scraper) ask(ctx context.Context, pods []Pod) (answers []answered, asked int, err error) {
	var serving []Pod
	for _, pod := range pods {
		if !pod.Starting && !pod.Terminating {
			serving = append(serving, pod)
		}
	}
	answers, failures := s.askEach(ctx, serving)
	if 2*len(answers) < len(serving) {
		return nil, len(serving), fmt.Errorf("%d of %d pods told their signals: %w", len(answers), len(serving), errors.Join(failures...))
	}
	return answers, len(serving), nil
}

// askUnready asks the pods that run and are not ready, of which many a one does
// not answer.
func (s *scraper) askUnready(ctx context.Context, pods []Pod) []answered {
	var unready []Pod
	for _, pod := range pods {
		if pod.Starting && !pod.Terminating && !strings.HasPrefix(pod.Address, ":") {
			unready = append(unready, pod)
		}
	}
	answers, _ := s.askEach(ctx, unready)
	return answers
}

func (s *scraper) askEach(ctx context.Context, pods []Pod) (answers []answered, failures []error) {
	var (
		group sync.WaitGroup
		mutex sync.Mutex
	)
	for _, pod := range pods {
		group.Go(func() {
			answer, err := s.askOne(ctx, pod)
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil {
				failures = append(failures, err)
				return
			}
			answers = append(answers, answer)
		})
	}
	group.Wait()
	return answers, failures
}

func (s *scraper) askOne(ctx context.Context, pod Pod) (answered, error) {
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return answered{}, fmt.Errorf("ask pod %q: %w", pod.Name, ctx.Err())
	}
	answer, err := s.get(ctx, "http://"+pod.Address+signal.Path)
	if err != nil {
		return answered{}, fmt.Errorf("ask pod %q: %w", pod.Name, err)
	}
	answer.pod = pod.Name
	return answer, nil
}

func (s *scraper) get(ctx context.Context, url string) (answer answered, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answered{}, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return answered{}, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return answered{}, fmt.Errorf("%s answers %s", url, response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, largestAnswer)).Decode(&answer.Signals); err != nil {
		return answered{}, fmt.Errorf("read %s: %w", url, err)
	}
	if answer.Version < 1 || answer.Version > signal.FormatVersion {
		return answered{}, fmt.Errorf("%s speaks version %d of the signals, but this operator knows up to %d: upgrade the operator first", url, answer.Version, signal.FormatVersion)
	}
	answer.at = time.Now()
	return answer, nil
}
