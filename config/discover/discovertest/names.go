// Package discovertest gives tests a name server, in place of the system's.
package discovertest

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// An Answer is what the name server says to a question.
type Answer struct {
	Silent bool
	Code   dnsmessage.RCode
	Bodies []dnsmessage.ResourceBody
}

// Names answers, until the test ends, every question by answer. It is called outside the
// bubble of a test with time of its own.
func Names(t *testing.T, answer func(q dnsmessage.Question) Answer) {
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("not yet")
	}}
	resolver.LookupMX(t.Context(), "example.org.") // package net makes its channels outside the bubble
	resolver.Dial = func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go serve(there, answer)
		return here, nil
	}
	net.DefaultResolver = resolver
}

// serve answers the questions on conn, each with its length before it (RFC 1035 section
// 4.2.2).
func serve(conn net.Conn, answer func(q dnsmessage.Question) Answer) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		var p dnsmessage.Parser
		header, err := p.Start(query)
		if err != nil {
			return
		}
		q, err := p.Question()
		if err != nil {
			return
		}
		if reply := reply(header.ID, q, answer(q)); reply != nil {
			conn.Write(reply)
		}
	}
}

func reply(id uint16, q dnsmessage.Question, a Answer) []byte {
	if a.Silent {
		return nil
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, Response: true, RCode: a.Code, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	for _, body := range a.Bodies {
		m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}, Body: body})
	}
	packed, err := m.AppendPack(make([]byte, 2))
	if err != nil {
		return nil
	}
	binary.BigEndian.PutUint16(packed, uint16(len(packed)-2))
	return packed
}
