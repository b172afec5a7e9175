package machine

import (
	"strings"

	"sendoff/submit/spool"
)

// units are the units of the service. PROGRAM is replaced. The socket accepts clients while
// the service does not run, so that a restart loses no mail. The service starts although
// its password is missing, and takes mail into its queue until there is one: SetCredential
// then gives it an empty line, because systemd allows no empty credential. The protection
// leaves what a server and its name server need: nothing of users is visible, and no other
// program can be run with more rights.
var units = [...]spool.Unit{
	{Name: "sendoff.socket", Text: `[Unit]
Description=Socket for the mail of all users (sendoff)
Documentation=man:sendoff-server(7)
ConditionPathExists=/etc/sendoff/service.toml

[Socket]
ListenStream=/run/sendoff/submit.sock

[Install]
WantedBy=sockets.target
`},
	{Name: "sendoff.service", Text: `[Unit]
Description=Send the mail of all users with one credential (sendoff)
Documentation=man:sendoff-server(7)
ConditionPathExists=/etc/sendoff/service.toml
Requires=sendoff.socket
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=PROGRAM --listen --config /etc/sendoff/service.toml
User=sendoff
StateDirectory=sendoff
StateDirectoryMode=0700
LoadCredentialEncrypted=smtp:/etc/sendoff/smtp.cred
SetCredential=smtp:\n
Restart=on-failure
RestartSec=10
UMask=0077
CapabilityBoundingSet=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`},
}

// Units returns the units of the service for the program at that path. Packages have the
// same.
func Units(program string) []spool.Unit {
	texts := units
	for i := range texts {
		texts[i].Text = strings.ReplaceAll(texts[i].Text, "PROGRAM", program)
	}
	return texts[:]
}

// unitText returns the text of the unit i; "": a package has it, or systemd does not run.
func (m *Machine) unitText(i int) string {
	if !m.systemd || spool.IsPackaged(units[i].Name) {
		return ""
	}
	path, err := spool.UnitPath(m.program)
	if err != nil {
		return ""
	}
	return Units(path)[i].Text
}

// dropIn returns the lines for the unit where systemd cannot encrypt the password: they
// replace the line of the unit that loads it.
func (m *Machine) dropIn() string {
	if !m.systemd || m.secret != secretFile {
		return ""
	}
	return "# The password is not encrypted: systemd-creds(1) did not work when this was written.\n[Service]\nLoadCredential=" +
		credentialName + ":" + secretFile + "\n"
}

// unitNames are the names of the units, as arguments of systemctl(1).
func unitNames() (names []string) {
	for _, u := range units {
		names = append(names, u.Name)
	}
	return names
}
