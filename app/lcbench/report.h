// SPDX-License-Identifier: BSD-3-Clause
// What report.c and report_json.c share.
#pragma once

#include <errno.h>

#include "lcbench.h"

double report_us(const struct hist *h, double q);
double report_mean_us(const struct hist *h);
// The result to the file --json names, "-" for stdout. 0 or -errno, said on stderr.
int report_json_write(const struct bench *b, const struct hist *all);
