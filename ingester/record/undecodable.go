package record

// The headers of what a consumer keeps in the dead-letter topic because it can't
// be stored; a record's own follow them. The identity is the key as well. What
// is there twice under one identity and part was written twice, around a crash.
const (
	HeaderUndecodable           = "logpipeline-undecodable"             // "<topic>/<partition>/<offset>" of the first offset
	HeaderUndecodableContent    = "logpipeline-undecodable-content"     // batch, as it is with its header, or record
	HeaderUndecodablePart       = "logpipeline-undecodable-part"        // "<n>/<of>"
	HeaderUndecodableNextOffset = "logpipeline-undecodable-next-offset" // behind what it stands for
	HeaderUndecodableReason     = "logpipeline-undecodable-reason"      // for a person
	HeaderUndecodableTime       = "logpipeline-undecodable-time"        // when it was given up, RFC 3339
	HeaderUndecodableKey        = "logpipeline-undecodable-key"         // a record's, unless that is null
)
