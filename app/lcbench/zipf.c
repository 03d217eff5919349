// SPDX-License-Identifier: BSD-3-Clause
#include "zipf.h"

#include <math.h>

#define NEAR_ZERO 1e-8

// The integral of x^-exponent from 1 to x: log(x) for exponent 1, and smooth beside it.
static double integral(const struct zipf *z, double x)
{
	double log_x = log(x), t = (1 - z->exponent) * log_x;

	return log_x * (fabs(t) > NEAR_ZERO ? expm1(t) / t : 1 + t / 2);
}

static double integral_invert(const struct zipf *z, double y)
{
	double t = fmax(y * (1 - z->exponent), -1);

	return exp(y * (fabs(t) > NEAR_ZERO ? log1p(t) / t : 1 - t / 2));
}

static double weight(const struct zipf *z, double x)
{
	return exp(-z->exponent * log(x));
}

void zipf_open(struct zipf *z, uint32_t n, double exponent)
{
	base_assert(n > 0 && exponent > 0);
	*z = (struct zipf){.exponent = exponent, .n = n};
	z->low = integral(z, 1.5) - 1;
	z->high = integral(z, n + 0.5);
	z->sure = 2 - integral_invert(z, integral(z, 2.5) - weight(z, 2));
}

uint32_t zipf_draw(const struct zipf *z, struct base_rng *rng)
{
	for (;;) {
		double u = (double)(base_rng_next(rng) >> 11) * 0x1p-53;
		double y = z->high + u * (z->low - z->high);
		double x = integral_invert(z, y), rank = floor(x + 0.5);

		rank = rank < 1 ? 1 : rank > z->n ? z->n : rank;
		if (rank - x <= z->sure || y >= integral(z, rank + 0.5) - weight(z, rank))
			return (uint32_t)rank;
	}
}
