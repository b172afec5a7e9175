# sendoff's options, for bash; written by sendoff --completions bash
_sendoff() {
	local IFS=$'\n' word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	if [[ $word == = ]]; then
		word=
	elif [[ $before == = ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	COMPREPLY=()
	case $before in
	-C | --config | --import)
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -f -- "$word"))
		return
		;;
	-a | --account | -r)
		:
		return
		;;
	--secret)
		COMPREPLY=($(compgen -W $'keyring\ncommand:\nfile:\nsystemd:\nnone' -- "$word"))
		return
		;;
	-R | --return)
		COMPREPLY=($(compgen -W $'full\nhdrs' -- "$word"))
		return
		;;
	esac
	if [[ $word == -* ]]; then
		COMPREPLY=($(compgen -W $'-a\n--account\n-C\n--config\n--secret\n--dry-run\n--import\n-r\n-R\n--return\n-q\n-v\n--verbose' -- "$word"))
	fi
}
complete -F _sendoff sendoff
