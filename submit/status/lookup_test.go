package status

import (
	"net"
	"testing"
)

// TestLookUp: a person reads which name server it is, and not Go's words.
func TestLookUp(t *testing.T) {
	dns := func(text string) *net.DNSError {
		return &net.DNSError{Err: text, Name: "mx.example", Server: "192.0.2.53:53"}
	}
	missing, late, nobody := dns("no such host"), dns("i/o timeout"), dns("no such host")
	missing.IsNotFound, late.IsTimeout, nobody.IsNotFound, nobody.Server = true, true, true, ""
	for _, tt := range []struct {
		err  error
		want string
	}{
		{missing, "no such host, says the name server 192.0.2.53"},
		{nobody, "no such host"},
		{nil, "no such host"},
		{late, "the name server 192.0.2.53 does not answer"},
		{dns("server misbehaving"), "the name server 192.0.2.53 fails, or gives an answer that cannot be understood"},
		{dns("cannot unmarshal DNS message"), "the name server 192.0.2.53 fails, or gives an answer that cannot be understood"},
		{dns("lame referral"), "the name server 192.0.2.53 fails, or gives an answer that cannot be understood"},
		{dns("no answer from DNS server"), "the name server 192.0.2.53 gives an empty answer"},
		{dns("read udp 127.0.0.1:36123->192.0.2.53:53: read: connection refused"), "the name server 192.0.2.53 refuses to answer: connection refused"},
		{dns("dial udp 192.0.2.53:53: connect: network is unreachable"), "the name server 192.0.2.53 cannot be reached: network is unreachable"},
		{&net.DNSError{Err: "Temporary failure in name resolution"}, "the name server fails, or gives an answer that cannot be understood"},
	} {
		if got := LookUp("mx.example", tt.err); got.Error() != "look up mx.example: "+tt.want || Hint(got) == "" {
			t.Errorf("%v: %v; hint: %s", tt.err, got, Hint(got))
		}
	}
}
