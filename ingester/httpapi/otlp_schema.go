package httpapi

// otlpKind says how a field looks in JSON.
type otlpKind uint8

const (
	jsonMessage  otlpKind = iota
	jsonText              // a string
	jsonHex               // a string of hexadecimal digits: OTLP's own rule
	jsonBase64            // a string
	jsonBoolean           // true or false
	jsonSigned            // a 64-bit or 32-bit integer, or one in a string
	jsonUnsigned          // the same, not negative
	jsonDouble            // a number, or a string
)

// otlpMember is the field that a member of a JSON object stands for.
type otlpMember struct {
	tag      uint64
	kind     otlpKind
	repeated bool
	message  otlpMessage // of kind jsonMessage
}

// otlpMessage names a message in otlpMembers.
type otlpMessage uint8

const (
	messageRequest otlpMessage = iota
	messageResourceLogs
	messageResource
	messageScopeLogs
	messageScope
	messageLogRecord
	messageKeyValue
	messageAnyValue
	messageArray
	messageMap
)

// otlpMembers are the members that the JSON form of each message may have.
// Their names are the field names in lowerCamelCase; others are ignored.
var otlpMembers = [...]map[string]otlpMember{
	messageRequest: {
		"resourceLogs": {tag: requestResourceLogs, message: messageResourceLogs, repeated: true},
	},
	messageResourceLogs: {
		"resource":  {tag: resourceLogsResource, message: messageResource},
		"scopeLogs": {tag: resourceLogsScopeLogs, message: messageScopeLogs, repeated: true},
		"schemaUrl": {tag: resourceLogsSchemaURL, kind: jsonText},
	},
	messageResource: {
		"attributes":             {tag: resourceAttributes, message: messageKeyValue, repeated: true},
		"droppedAttributesCount": {tag: resourceDropped, kind: jsonUnsigned},
	},
	messageScopeLogs: {
		"scope":      {tag: scopeLogsScope, message: messageScope},
		"logRecords": {tag: scopeLogsRecords, message: messageLogRecord, repeated: true},
		"schemaUrl":  {tag: scopeLogsSchemaURL, kind: jsonText},
	},
	messageScope: {
		"name":                   {tag: scopeName, kind: jsonText},
		"version":                {tag: scopeVersion, kind: jsonText},
		"attributes":             {tag: scopeAttributes, message: messageKeyValue, repeated: true},
		"droppedAttributesCount": {tag: scopeDropped, kind: jsonUnsigned},
	},
	messageLogRecord: {
		"timeUnixNano":           {tag: recordTime, kind: jsonUnsigned},
		"observedTimeUnixNano":   {tag: recordObservedTime, kind: jsonUnsigned},
		"severityNumber":         {tag: recordSeverityNumber, kind: jsonSigned},
		"severityText":           {tag: recordSeverityText, kind: jsonText},
		"body":                   {tag: recordBody, message: messageAnyValue},
		"attributes":             {tag: recordAttributes, message: messageKeyValue, repeated: true},
		"droppedAttributesCount": {tag: recordDropped, kind: jsonUnsigned},
		"flags":                  {tag: recordFlags, kind: jsonUnsigned},
		"traceId":                {tag: recordTraceID, kind: jsonHex},
		"spanId":                 {tag: recordSpanID, kind: jsonHex},
		"eventName":              {tag: recordEventName, kind: jsonText},
	},
	messageKeyValue: {
		"key":   {tag: keyValueKey, kind: jsonText},
		"value": {tag: keyValueValue, message: messageAnyValue},
	},
	messageAnyValue: {
		"stringValue": {tag: valueString, kind: jsonText},
		"boolValue":   {tag: valueBool, kind: jsonBoolean},
		"intValue":    {tag: valueInt, kind: jsonSigned},
		"doubleValue": {tag: valueDouble, kind: jsonDouble},
		"arrayValue":  {tag: valueArray, message: messageArray},
		"kvlistValue": {tag: valueMap, message: messageMap},
		"bytesValue":  {tag: valueBytes, kind: jsonBase64},
	},
	messageArray: {
		"values": {tag: listValues, message: messageAnyValue, repeated: true},
	},
	messageMap: {
		"values": {tag: listValues, message: messageKeyValue, repeated: true},
	},
}
