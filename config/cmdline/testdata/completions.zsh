#compdef sendoff
# sendoff's options, for zsh; written by sendoff --completions zsh
_sendoff_accounts() {
	local -a names
	names=(${(M)${(f)"$(sendoff -bC 2>/dev/null)"}:#account *, *})
	names=(${${names#account }%%, *})
	compadd "$@" -a names
}
_sendoff_sources() {
	local -a all
	all=(keyring command: file: systemd: oauth2: none)
	if compset -P file:; then
		_files
	else
		compadd "$@" -S '' -- ${(M)all:#*:}
		compadd "$@" -- ${all:#*:}
	fi
}
_sendoff_words() {
	case " $words " in
	*' --import '*)
		_files "$@"
		;;
	*' --doctor '*)
		_sendoff_accounts "$@"
		;;
	*)
		_email_addresses "$@"
		;;
	esac
}
_arguments -s -S \
	'(-a --account)-a+[use this account]:ACCOUNT:_sendoff_accounts' \
	'(-a --account)--account=[use this account]:ACCOUNT:_sendoff_accounts' \
	'(-C --config)-C+[read this, and no other]:FILE:_files' \
	'(-C --config)--config=[read this, and no other]:FILE:_files' \
	'--secret=[one of\: several \[sources\]]:SOURCE:_sendoff_sources' \
	'--dry-run[show what would be sent]' \
	'--import=-[take over msmtp'\''s]::FILE:_files' \
	'--doctor=-[look for what is wrong]::ACCOUNT:_sendoff_accounts' \
	'-r+[same as -f]:ADDRESS:' \
	'(-R --return)-R+[full or hdrs]:PART:(full hdrs)' \
	'(-R --return)--return=[full or hdrs]:PART:(full hdrs)' \
	'-q-[try what waits]::WHAT:' \
	'(-v --verbose)-v[show the dialogue]' \
	'(-v --verbose)--verbose[show the dialogue]' \
	'*:recipient:_sendoff_words'
