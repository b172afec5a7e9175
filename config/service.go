package config

import (
	"os"
	"path/filepath"
	"strings"
)

// ServiceFile returns the path of the configuration of the machine's service, which lies
// beside the system's file; "": this system has none.
func ServiceFile() string {
	system := systemFile()
	if system == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(system), "service.toml")
}

// LoadService returns the configuration of the machine's service; nil: there is none.
func LoadService(id Identity) (*Config, error) {
	path := ServiceFile()
	if _, err := os.Lstat(path); path == "" || missing(err) {
		return nil, nil
	}
	return Load(Paths{Explicit: path, Home: id.Home})
}

// ServiceQueue returns the folder of the queue of the machine's service, whose configuration
// is service; nil: the folder that it has unless a configuration names another.
func ServiceQueue(service *Config) string {
	if service != nil && service.Queue != "" {
		return service.Queue
	}
	return filepath.Join("/", Root(), "/var/lib/sendoff/queue")
}

// LeadsTo reports whether a leads to the socket on which service listens. If service is nil,
// because its configuration has a fault, each socket counts.
func (a *Account) LeadsTo(service *Config) bool {
	for _, s := range a.Servers {
		if s.Kind() == Socket && (service == nil || s.Path == strings.TrimPrefix(service.Listen, "unix:")) {
			return true
		}
	}
	return false
}
