// SPDX-License-Identifier: BSD-3-Clause
// The option table for people: --help, the manual page, docs/configuration.md.

#include "control/control_internal.h"

// "-m MB", "--port PORT", "-h, --help"
static void option_words(const struct control_option *o, char *buf, size_t len)
{
	char letter[8] = "";

	if (o->letter)
		snprintf(letter, sizeof(letter), "-%c%s", o->letter, o->name ? ", " : "");
	snprintf(buf, len, "%s%s%s%s%s", letter, o->name ? "--" : "", o->name ? o->name : "",
		o->value ? " " : "", o->value ? o->value : "");
}

void control_config_help(FILE *to)
{
	const struct control_option *o;
	char words[80];

	fprintf(to, "usage: lcached [options] [-- EAL arguments]\n\n");
	for (unsigned i = 0; (o = control_option_at(i)) != NULL; i++) {
		option_words(o, words, sizeof(words));
		fprintf(to, "  %s%-*s %s", o->letter ? "" : "    ", o->letter ? 32 : 28, words,
			o->help);
		if (o->start != NULL && o->start[0] != '\0')
			fprintf(to, " (%s)", o->start);
		fprintf(to, "\n");
	}
}

// ---- Markdown ----------------------------------------------------------------------------------
// A cell of a table: a bar would end it.
static void cell_write(FILE *to, const char *text)
{
	fputs("| ", to);
	for (; *text != '\0'; text++) {
		if (*text == '|')
			fputc('\\', to);
		fputc(*text, to);
	}
	fputc(' ', to);
}

static void option_row(FILE *to, const struct control_option *o)
{
	char words[80], cell[96], range[80];

	option_words(o, words, sizeof(words));
	snprintf(cell, sizeof(cell), "`%s`", words);
	cell_write(to, cell);
	snprintf(cell, sizeof(cell), "%s%s%s", o->start && *o->start ? "`" : "",
		o->start ? o->start : "", o->start && *o->start ? "`" : "");
	cell_write(to, cell);
	control_option_range(o, range, sizeof(range));
	cell_write(to, range);
	cell_write(to, o->live ? "yes" : "");
	cell_write(to, o->help);
	fputs("|\n", to);
}

void control_config_markdown(FILE *to)
{
	const struct control_option *o;

	fputs("# Configuration\n\n"
	      "Every option is a word of the command line (`--maxmemory 4gb`) and a line of the "
	      "file that `-f`\n"
	      "names (`maxmemory 4gb`); the command line wins. A value that is wrong is named on "
	      "stderr, and the\n"
	      "exit status is 2, before a device is touched. What is live may be changed while the "
	      "server serves,\n"
	      "and written back:\n\n"
	      "```\n"
	      "lcctl config get 'maxmemory*'\n"
	      "lcctl config set maxmemory-policy allkeys-lfu\n"
	      "lcctl config rewrite\n"
	      "```\n\n"
	      "`config rewrite` replaces the file as a whole: its comments and its order stay, "
	      "what "
	      "differs from the\n"
	      "defaults and was not in it follows at the end.\n\n"
	      "This page is what `lcached --help-markdown` prints.\n\n"
	      "| option | default | range | live | what |\n"
	      "|---|---|---|---|---|\n",
		to);
	for (unsigned i = 0; (o = control_option_at(i)) != NULL; i++)
		option_row(to, o);
}

// ---- the manual page ---------------------------------------------------------------------------
// Text of troff's: a hyphen that can be copied, a backslash that is one.
static void roff_write(FILE *to, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '-' || *text == '\\')
			fputc('\\', to);
		fputs(*text == '\\' ? "e" : (char[]){*text, '\0'}, to);
	}
}

static void option_roff(FILE *to, const struct control_option *o)
{
	char words[80], range[80];

	option_words(o, words, sizeof(words));
	fputs(".TP\n.B ", to);
	roff_write(to, words);
	fputs("\n\\&", to); // a line that starts with a dot would be a request
	roff_write(to, o->help);
	control_option_range(o, range, sizeof(range));
	if (o->start != NULL && o->start[0] != '\0') {
		fputs("\n.br\nDefault: ", to);
		roff_write(to, o->start);
	}
	if (range[0] != '\0') {
		fputs("\n.br\nRange: ", to);
		roff_write(to, range);
	}
	if (o->live)
		fputs("\n.br\nLive: may be changed while serving", to);
	fputs("\n", to);
}

void control_config_man(FILE *to)
{
	const struct control_option *o;

	fputs(".TH LCACHED 8 \"\" \"lcached " LC_VERSION "\"\n"
	      ".SH NAME\nlcached \\- memcached\\-protocol cache that owns its network card\n"
	      ".SH SYNOPSIS\n.B lcached\n[options] [\\-\\- EAL arguments]\n"
	      ".SH DESCRIPTION\nPolling workers each own a queue pair of the network card, a TCP "
	      "and UDP stack and a shard of the keys.\n"
	      "Options are words of the command line, and lines\n.I name value\nof the "
	      "configuration file; the command line wins.\n"
	      ".SH OPTIONS\n",
		to);
	for (unsigned i = 0; (o = control_option_at(i)) != NULL; i++)
		option_roff(to, o);
	fputs(".SH SIGNALS\nSIGTERM and SIGINT end the server: connections are reset, the exit "
	      "status is 0.\n"
	      ".SH EXIT STATUS\n0: ended as asked. 1: the start failed, and the reason was "
	      "logged. 2: wrong options.\n"
	      ".SH EXAMPLE\n.nf\nlcached \\-d pci \\-l 192.0.2.10/24 \\-m 8192 \\-t 4\n.fi\n"
	      ".SH SEE ALSO\nlcctl, which looks at a running server; memcached(1)\n",
		to);
}
