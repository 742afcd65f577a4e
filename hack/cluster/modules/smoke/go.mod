module github.com/logpipeline/logpipeline/hack/cluster/modules/smoke

go 1.26.0
