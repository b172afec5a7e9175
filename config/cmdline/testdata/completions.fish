# sendoff's options, for fish; written by sendoff --completions fish
complete -c sendoff -f
complete -c sendoff -s a -l account -x -d 'use this account'
complete -c sendoff -s C -l config -r -F -d 'read this, and no other'
complete -c sendoff -l secret -x -a 'keyring command: file: systemd: none' -d 'one of: several [sources]'
complete -c sendoff -l dry-run -d 'show what would be sent'
complete -c sendoff -l import -d 'take over msmtp\'s'
complete -c sendoff -s r -x -d 'same as -f'
complete -c sendoff -s R -l return -x -a 'full hdrs' -d 'full or hdrs'
complete -c sendoff -s q -d 'try what waits'
complete -c sendoff -s v -l verbose -d 'show the dialogue'
complete -c sendoff -n '__fish_contains_opt import' -F
