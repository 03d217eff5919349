// SPDX-License-Identifier: BSD-3-Clause
// Files: cases, and the lines that cases share.
//
//	define NAME ... end     lines for `use NAME`, in this file
//	case WHAT IT SHOWS      until the next case; its first line is `rfc SECTION`
#include "pkt.h"

#define USE_DEPTH 4

bool pkt_script_read(struct pkt_script *sc, const char *path)
{
	FILE *f = fopen(path, "r");

	*sc = (struct pkt_script){.path = path};
	if (f == NULL) {
		perror(path);
		return false;
	}
	sc->line = calloc(PKT_LINES, sizeof(*sc->line));
	while (sc->line && sc->lines < PKT_LINES && fgets(sc->line[sc->lines], PKT_LINE, f))
		sc->lines++;
	fclose(f);
	return sc->line != NULL;
}

void pkt_script_free(struct pkt_script *sc)
{
	free(sc->line);
}

// The word at the head of a line, and what follows it.
static const char *head_is(const char *line, const char *word)
{
	size_t n = strlen(word);

	line += strspn(line, " \t");
	if (strncmp(line, word, n) != 0 || (line[n] != ' ' && line[n] != '\n'))
		return NULL;
	return line + n + strspn(line + n, " \t");
}

static void line_copy(char *to, const char *from)
{
	snprintf(to, PKT_LINE, "%s", from);
	to[strcspn(to, "\n")] = '\0';
}

static bool line_run(const struct pkt_script *sc, struct pkt_lab *lab, unsigned at, unsigned depth,
	char *why, size_t size);

static bool define_run(const struct pkt_script *sc, struct pkt_lab *lab, const char *name,
	unsigned depth, char *why, size_t size)
{
	for (unsigned i = 0; i < sc->lines; i++) {
		const char *found = head_is(sc->line[i], "define");
		char have[PKT_LINE], want[PKT_LINE];

		if (found == NULL)
			continue;
		line_copy(have, found);
		line_copy(want, name);
		if (strcmp(have, want) != 0)
			continue;
		for (i++; i < sc->lines && !head_is(sc->line[i], "end"); i++)
			if (!line_run(sc, lab, i, depth + 1, why, size))
				return false;
		return true;
	}
	snprintf(why, size, "nothing is defined as %s", name);
	return false;
}

static bool line_run(const struct pkt_script *sc, struct pkt_lab *lab, unsigned at, unsigned depth,
	char *why, size_t size)
{
	char copy[PKT_LINE], reason[400];
	const char *name = head_is(sc->line[at], "use");

	if (depth > USE_DEPTH) {
		snprintf(why, size, "use within use within use ...");
		return false;
	}
	if (name != NULL)
		return define_run(sc, lab, name, depth, why, size);
	line_copy(copy, sc->line[at]);
	if (lab->verbose && strspn(copy, " \t") != strlen(copy))
		printf("# %s\n", copy);
	if (pkt_step(lab, copy, reason, sizeof(reason)))
		return true;
	snprintf(why, size, "%s:%u: %s", sc->path, at + 1, reason);
	return false;
}

static void lab_init(struct pkt_lab *lab)
{
	*lab = (struct pkt_lab){
		.mtu = 1500, .irs = 5000, .verbose = lab->verbose, .pool = lab->pool};
	lab->options = (struct tcp_options){.rcv_buf_bytes = 65535};
}

static bool case_run(const struct pkt_script *sc, struct pkt_lab *lab, unsigned at, unsigned *end,
	char *why, size_t size)
{
	bool good = true;
	const char *missing;

	lab_init(lab);
	if (at >= sc->lines || !head_is(sc->line[at], "rfc")) {
		snprintf(why, size, "%s:%u: a case begins with `rfc SECTION`", sc->path, at + 1);
		good = false;
	}
	for (at++; at < sc->lines; at++) {
		if (head_is(sc->line[at], "case") || head_is(sc->line[at], "define"))
			break;
		good = good && line_run(sc, lab, at, 0, why, size);
	}
	*end = at;
	if (good && lab->open) {
		char copy[] = "silence", reason[400];

		good = pkt_step(lab, copy, reason, sizeof(reason));
		if (!good)
			snprintf(why, size, "%s:%u: at its end: %s", sc->path, at, reason);
	}
	missing = pkt_lab_close(lab);
	if (good && missing)
		snprintf(why, size, "%s:%u: %s", sc->path, at, missing);
	return good && missing == NULL;
}

unsigned pkt_script_run(const struct pkt_script *sc, struct pkt_lab *lab, unsigned *cases)
{
	const char *base = strrchr(sc->path, '/');
	unsigned failed = 0;

	base = base ? base + 1 : sc->path;
	for (unsigned i = 0; i < sc->lines;) {
		const char *name = head_is(sc->line[i], "case");
		char title[PKT_LINE], why[512];

		if (name == NULL) {
			i++;
			continue;
		}
		line_copy(title, name);
		if (case_run(sc, lab, i + 1, &i, why, sizeof(why))) {
			printf("ok %u - %s: %s\n", ++*cases, base, title);
		} else {
			printf("not ok %u - %s: %s\n# %s\n", ++*cases, base, title, why);
			failed++;
		}
	}
	return failed;
}
