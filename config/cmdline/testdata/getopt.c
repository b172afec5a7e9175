/*
 * Reads command lines as sendmail's own getopt(3) does.
 *
 * Standard input has one command line a line, its words separated by tabs.
 * Standard output has one line for each: the options, as -f=VALUE or -t, then
 * "--" and the operands, separated by tabs. An invalid letter ends the line
 * as "? z", a missing argument as ": f".
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char line[65536];
	char *words[1024];

	if (argc != 2)
		return 64;
	while (fgets(line, sizeof line, stdin)) {
		char *rest = line, options[256];
		int n = 0, c;

		line[strcspn(line, "\n")] = '\0';
		words[n++] = "sendmail";
		while (rest && n < 1023)
			words[n++] = strsep(&rest, "\t");
		words[n] = NULL;
		snprintf(options, sizeof options, ":%s", argv[1]);
		optind = 0;
		while ((c = getopt(n, words, options)) != -1) {
			if (c == '?' || c == ':') {
				printf("%c %c", c, optopt);
				break;
			}
			printf("-%c", c);
			if (optarg)
				printf("=%s", optarg);
			putchar('\t');
		}
		if (c == -1) {
			fputs("--", stdout);
			for (; optind < n; optind++)
				printf("\t%s", words[optind]);
		}
		putchar('\n');
	}
	return 0;
}
