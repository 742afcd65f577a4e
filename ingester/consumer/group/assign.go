package group

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/logpipeline/logpipeline/ingester/kafka"
)

// protocol is the name of Kafka's range assignor, which shares partitions out
// as this package does.
const protocol = "range"

// Members say how many partitions they know of as user data: one byte, the
// version of this format, and the number, a big-endian int32. Readers take what
// is longer or of a later version for what they know of it.
const userDataVersion = 1

func subscription(topic string, partitions int) []byte {
	data := binary.BigEndian.AppendUint32([]byte{userDataVersion}, uint32(partitions))
	return kafka.Subscription{Topics: []string{topic}, UserData: data}.Encode()
}

// knownPartitions undoes it. Members of other software know of none.
func knownPartitions(data []byte) int {
	if len(data) < 5 || data[0] < userDataVersion {
		return 0
	}
	return int(min(binary.BigEndian.Uint32(data[1:]), maxPartitions))
}

// maxPartitions is more than a topic can have in practice, and bounds what a
// member that says otherwise can make the leader do.
const maxPartitions = 1 << 16

// assign shares out the partitions of every topic among the members that read
// it: each gets a range, of sizes that differ by at most 1. Static members come
// first, by their instance ids, so that one that has been started again has the
// place that it had. A member whose subscription can't be read gets nothing.
func assign(members []kafka.JoinedMember) map[string][]byte {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b kafka.JoinedMember) int {
		if (a.InstanceID == "") != (b.InstanceID == "") {
			return cmp.Compare(b.InstanceID, a.InstanceID)
		}
		return cmp.Or(cmp.Compare(a.InstanceID, b.InstanceID), cmp.Compare(a.ID, b.ID))
	})
	readers, partitions := map[string][]string{}, map[string]int{}
	assignments := map[string]kafka.Assignment{}
	for _, m := range members {
		assignments[m.ID] = kafka.Assignment{}
		s, err := kafka.ParseSubscription(m.Metadata)
		if err != nil {
			continue
		}
		slices.Sort(s.Topics)
		for _, topic := range slices.Compact(s.Topics) {
			readers[topic] = append(readers[topic], m.ID)
			partitions[topic] = max(partitions[topic], knownPartitions(s.UserData))
		}
	}
	for topic, ids := range readers {
		for p := range partitions[topic] {
			reader := assignments[ids[rangeOf(p, partitions[topic], len(ids))]]
			reader[topic] = append(reader[topic], int32(p))
		}
	}
	encoded := map[string][]byte{}
	for id, a := range assignments {
		encoded[id] = a.Encode()
	}
	return encoded
}

// rangeOf is which of so many ranges a partition is in; the first ones are
// longer by 1 where they can't all be the same.
func rangeOf(partition, partitions, ranges int) int {
	size, longer := partitions/ranges, partitions%ranges
	if partition < longer*(size+1) {
		return partition / (size + 1)
	}
	return longer + (partition-longer*(size+1))/size
}
