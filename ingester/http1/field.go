package http1

import (
	"bytes"
	"net/textproto"
)

// field is a line of a head.
type field struct {
	text  []byte // the whole line
	colon int    // where the name ends
	key   string // the name, in canonical form
	value *[1]string
}

// name takes the name from a line, and forgets the value.
func (f *field) name(text []byte) bool {
	colon := bytes.IndexByte(text, ':')
	if colon <= 0 || !consistsOf(text[:colon], ofToken) {
		return false
	}
	*f = field{text: f.text[:0], colon: colon, value: new([1]string)}
	f.key = textproto.CanonicalMIMEHeaderKey(string(text[:colon]))
	return true
}

// isNamedIn reports whether a line has this very name.
func (f *field) isNamedIn(text []byte) bool {
	return len(text) > f.colon && bytes.Equal(text[:f.colon+1], f.text[:f.colon+1])
}

// class is a set of characters; several are ored.
type class uint8

const (
	ofToken  class = 1 << iota // RFC 9110, section 5.6.2
	ofValue                    // field-vchar, space and tab: section 5.5
	ofTarget                   // the characters of RFC 3986 but "#"
	ofHost                     // of a name or an address with a port: no userinfo, no escapes
	ofNumber
)

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

var classes = func() (table [256]class) {
	add := func(c class, members string) {
		for i := range len(members) {
			table[members[i]] |= c
		}
	}
	add(ofToken, letters+digits+"!#$%&'*+-.^_`|~")
	add(ofTarget, letters+digits+"-._~:/?[]@!$&'()*+,;=%")
	add(ofHost, letters+digits+"-._:[]")
	add(ofNumber, digits)
	add(ofValue, " \t")
	for c := '!'; c < 256; c++ {
		if c != 0x7f {
			table[c] |= ofValue
		}
	}
	return table
}()

// consistsOf reports whether all bytes are of the class.
func consistsOf(text []byte, c class) bool {
	for _, b := range text {
		if classes[b]&c == 0 {
			return false
		}
	}
	return true
}
