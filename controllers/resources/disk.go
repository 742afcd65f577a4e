package resources

import (
	"github.com/logpipeline/logpipeline/api/v1alpha1"
	"github.com/logpipeline/logpipeline/ingester/config"
)

// diskSlack is what the file system takes of a volume beside its files.
const diskSlack = 64 * mebibyte

// ingesterDisk bounds what an ingester keeps on its node's disk: dead letters
// while Kafka is away, and the spool.
func ingesterDisk(c config.Config) int64 {
	return int64(c.DeadLetter.MaxBytes) + int64(c.Spool.MaxBytes) + diskSlack
}

// stagingDisk bounds what a consumer keeps until it is uploaded: all open
// segments and, beyond their bound, the one that is being sealed and what was
// fetched meanwhile.
func stagingDisk(c config.Config) int64 {
	return int64(c.Segment.MaxOpenBytes) + int64(c.Segment.MaxBytes) + int64(c.Consumer.FetchMaxTotalBytes) + diskSlack
}

// consumerDisk is what a consumer keeps on its node's disk; 0 where that is a
// claim's, or has no bound.
func consumerDisk(p *v1alpha1.LogPipeline, c config.Config) int64 {
	switch storage := p.Spec.Storage; {
	case storage.ObjectStore != nil:
		return stagingDisk(c)
	case storage.Ephemeral != nil && storage.Ephemeral.SizeLimit != nil:
		return storage.Ephemeral.SizeLimit.Value()
	default:
		return 0
	}
}
