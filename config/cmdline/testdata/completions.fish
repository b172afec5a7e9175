# sendoff's options, for fish; written by sendoff --completions fish
function __sendoff_accounts
	sendoff -bC 2>/dev/null | string replace -rf '^account ([^,]+), .*' '$1'
end
function __sendoff_sources
	printf '%s\n' keyring command: file: systemd: oauth2: none
	set -l path (string match -r 'file:(.*)' -- (commandline -ct))
	and complete -C "'' $path[2]" | string replace -r '^' file:
end
complete -c sendoff -f
complete -c sendoff -s a -l account -x -a '(__sendoff_accounts)' -d 'use this account'
complete -c sendoff -s C -l config -r -F -d 'read this, and no other'
complete -c sendoff -l secret -x -a '(__sendoff_sources)' -d 'one of: several [sources]'
complete -c sendoff -l dry-run -d 'show what would be sent'
complete -c sendoff -l import -d 'take over msmtp\'s'
complete -c sendoff -l doctor -d 'look for what is wrong'
complete -c sendoff -s r -x -d 'same as -f'
complete -c sendoff -s R -l return -x -a 'full hdrs' -d 'full or hdrs'
complete -c sendoff -s q -d 'try what waits'
complete -c sendoff -s v -l verbose -d 'show the dialogue'
complete -c sendoff -n '__fish_contains_opt import' -F
complete -c sendoff -n '__fish_contains_opt doctor' -a '(__sendoff_accounts)'
