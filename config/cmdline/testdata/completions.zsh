#compdef sendoff
# sendoff's options, for zsh; written by sendoff --completions zsh
_arguments -s -S \
	'(-a --account)-a+[use this account]:NAME:' \
	'(-a --account)--account=[use this account]:NAME:' \
	'(-C --config)-C+[read this, and no other]:FILE:_files' \
	'(-C --config)--config=[read this, and no other]:FILE:_files' \
	'--secret=[one of\: several \[sources\]]:SOURCE:(keyring command\: file\: systemd\: none)' \
	'--dry-run[show what would be sent]' \
	'--import=-[take over msmtp'\''s]::FILE:_files' \
	'-r+[same as -f]:ADDRESS:' \
	'(-R --return)-R+[full or hdrs]:PART:(full hdrs)' \
	'(-R --return)--return=[full or hdrs]:PART:(full hdrs)' \
	'-q-[try what waits]::WHAT:' \
	'(-v --verbose)-v[show the dialogue]' \
	'(-v --verbose)--verbose[show the dialogue]' \
	'*:recipient:_email_addresses'
