// SPDX-License-Identifier: BSD-3-Clause
#include "waited.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define PATH_BYTES 300
#define WAKE_NS    5000 // waits that are shorter in the mean are those after sleep

struct stat_line { // of /proc/.../schedstat
	uint64_t ran_ns, waited_ns, times;
};

static int stat_read(int fd, struct stat_line *s)
{
	char text[80];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return -EIO;
	text[n] = '\0';
	return sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &s->ran_ns, &s->waited_ns,
		       &s->times) == 3
		? 0
		: -EINVAL;
}

static int tasks_open(struct waited *w, DIR *tasks, const char *path)
{
	const struct dirent *task;
	uint64_t most_ns = 0;
	struct stat_line s;

	while (w->threads < WAITED_THREADS && (task = readdir(tasks)) != NULL) {
		char file[PATH_BYTES];
		int fd;

		if (task->d_name[0] == '.' ||
			snprintf(file, sizeof(file), "%s/%s/schedstat", path, task->d_name) >=
				(int)sizeof(file))
			continue;
		fd = open(file, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || stat_read(fd, &s)) {
			close(fd);
			continue;
		}
		if (s.ran_ns > most_ns) {
			most_ns = s.ran_ns;
			w->busiest = w->threads;
		}
		w->fd[w->threads++] = fd;
	}
	return w->threads ? 0 : -ESRCH;
}

int waited_open(struct waited *w, pid_t pid)
{
	char path[40];
	DIR *tasks;
	int rc = 0;

	*w = (struct waited){0};
	if (pid == 0) {
		w->fd[0] = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
		if (w->fd[0] < 0)
			return -errno;
		w->threads = 1;
	} else {
		snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
		tasks = opendir(path);
		if (tasks == NULL)
			return -errno;
		rc = tasks_open(w, tasks, path);
		closedir(tasks);
	}
	if (!rc)
		waited_ns(w);
	return rc;
}

uint64_t waited_ns(struct waited *w)
{
	struct stat_line busiest = {0}, s;
	uint64_t ran_ns = 0, others_ns, ns, times;

	for (unsigned i = 0; i < w->threads; i++) {
		if (stat_read(w->fd[i], &s))
			continue; // it has ended
		if (i == w->busiest)
			busiest = s;
		else
			ran_ns += s.ran_ns;
	}
	others_ns = ran_ns > w->ran_ns ? ran_ns - w->ran_ns : 0;
	ns = busiest.waited_ns - w->waited_ns;
	times = busiest.times - w->times;
	w->ran_ns = ran_ns;
	w->waited_ns = busiest.waited_ns;
	w->times = busiest.times;
	return ns > others_ns && ns > times * WAKE_NS ? ns - others_ns : 0;
}

void waited_close(struct waited *w)
{
	for (unsigned i = 0; i < w->threads; i++)
		close(w->fd[i]);
	w->threads = 0;
}
