# sendoff's options, for bash; written by sendoff --completions bash
_sendoff() {
	local IFS=$'\n' word=${COMP_WORDS[COMP_CWORD]} at=$((COMP_CWORD - 1)) kind= line
	if [[ $word == [=:] ]]; then
		word= at=$COMP_CWORD
	fi
	if [[ ${COMP_WORDS[at]} == : && $at -gt 2 ]]; then
		kind=" ${COMP_WORDS[at - 1]}:" at=$((at - 2))
	fi
	if [[ ${COMP_WORDS[at]} == = ]]; then
		at=$((at - 1))
	fi
	COMPREPLY=()
	case ${COMP_WORDS[at]}$kind in
	-a | --account | --doctor)
		while read -r line; do
			if [[ $line == "account $word"*", "* ]]; then
				line=${line#account }
				COMPREPLY+=("${line%%, *}")
			fi
		done <<<"$(sendoff -bC 2>/dev/null)"
		return
		;;
	-C | --config | --import)
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -f -- "$word"))
		return
		;;
	--secret)
		COMPREPLY=($(compgen -W $'keyring\ncommand:\nfile:\nsystemd:\noauth2:\nnone' -- "$word"))
		if [[ ${COMPREPLY[0]} == *: ]]; then
			compopt -o nospace 2>/dev/null
		fi
		return
		;;
	-r)
		:
		return
		;;
	-R | --return)
		COMPREPLY=($(compgen -W $'full\nhdrs' -- "$word"))
		return
		;;
	"--secret file:")
		compopt -o filenames 2>/dev/null
		COMPREPLY=($(compgen -f -- "$word"))
		return
		;;
	esac
	if [[ $word == -* ]]; then
		COMPREPLY=($(compgen -W $'-a\n--account\n-C\n--config\n--secret\n--dry-run\n--import\n--doctor\n-r\n-R\n--return\n-q\n-v\n--verbose' -- "$word"))
	fi
}
complete -F _sendoff sendoff
