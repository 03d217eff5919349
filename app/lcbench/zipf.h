// SPDX-License-Identifier: BSD-3-Clause
// Zipf's distribution: rank r of 1..n with a probability that goes with r^-exponent. Exact, without
// a table, and in constant time whatever n: rejection from the integral of x^-exponent, inverted
// (Hoermann and Derflinger, 1996); fewer than 1.2 tries on average.
#pragma once

#include <stdint.h>

#include "base/base.h"

struct zipf {
	double exponent; // > 0
	double n;
	double low, high; // the integral's values between which is drawn
	double sure;      // a point so near its rank is taken without another look
};

void zipf_open(struct zipf *z, uint32_t n, double exponent);
// A rank, 1 the most frequent.
uint32_t zipf_draw(const struct zipf *z, struct base_rng *rng);
