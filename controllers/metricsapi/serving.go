package metricsapi

import (
	"sync"

	"k8s.io/apiserver/pkg/server/dynamiccertificates"
)

// serving is the certificate that is served now.
type serving struct {
	mutex     sync.RWMutex
	current   *certificate
	listeners []dynamiccertificates.Listener
}

// Name implements dynamiccertificates.CertKeyContentProvider.
func (s *serving) Name() string { return "metrics API" }

// CurrentCertKeyContent implements dynamiccertificates.CertKeyContentProvider.
func (s *serving) CurrentCertKeyContent() (certPEM, keyPEM []byte) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	return s.current.certPEM, s.current.keyPEM
}

// AddListener implements dynamiccertificates.Notifier.
func (s *serving) AddListener(listener dynamiccertificates.Listener) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.listeners = append(s.listeners, listener)
}

// serve has new connections get another certificate.
func (s *serving) serve(c *certificate) {
	s.mutex.Lock()
	s.current = c
	listeners := s.listeners
	s.mutex.Unlock()
	for _, l := range listeners {
		l.Enqueue()
	}
}
