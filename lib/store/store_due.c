// SPDX-License-Identifier: BSD-3-Clause
// The tree of deadlines over the buckets of an index.
#include "store/store_internal.h"

struct due_leaf {
	uint32_t min[STORE_DUE_FANOUT];
	uint8_t items[STORE_DUE_FANOUT];
};

struct due_node {
	uint32_t min[STORE_DUE_FANOUT];
	uint32_t buckets[STORE_DUE_FANOUT]; // below a child, that have items
	void *child[STORE_DUE_FANOUT];
};

static_assert(offsetof(struct due_leaf, min) == offsetof(struct due_node, min),
	"minima are read without knowing which it is");

struct due_path { // nodes from the root down, and the leaf; level 1 is the leaf's
	struct due_node *node[STORE_DUE_LEVELS + 1];
	struct due_leaf *leaf;
};

static inline unsigned due_at(uint32_t bucket, unsigned level)
{
	return bucket >> 4 * (level - 1) & (STORE_DUE_FANOUT - 1);
}

static inline uint32_t due_min(const void *p)
{
	const uint32_t *min = p;
	uint32_t m = STORE_DUE_NEVER;

	for (unsigned i = 0; i < STORE_DUE_FANOUT; i++)
		m = min[i] < m ? min[i] : m;
	return m;
}

// ---- nodes --------------------------------------------------------------------------------------

static void *due_alloc(struct store *s, unsigned level)
{
	size_t bytes = level == 1 ? sizeof(struct due_leaf) : sizeof(struct due_node);
	uint32_t *p = mem_try_calloc(s->mem, MEM_INDEX, bytes, NULL);

	if (p)
		memset(p, 0xff, sizeof(uint32_t) * STORE_DUE_FANOUT);
	return p;
}

// Frees what there is below. Of a subtree that has just emptied that is one node a level.
static void due_free(struct store *s, void *p, unsigned level)
{
	struct due_node *node = p;

	if (!p)
		return;
	if (level == 1) {
		mem_free(s->mem, MEM_INDEX, p, sizeof(struct due_leaf));
		return;
	}
	for (unsigned i = 0; i < STORE_DUE_FANOUT; i++)
		due_free(s, node->child[i], level - 1);
	mem_free(s->mem, MEM_INDEX, p, sizeof(*node));
}

void store_due_close(struct store *s, struct store_due *d)
{
	due_free(s, d->root, d->levels);
	*d = (struct store_due){0};
}

static uint32_t due_buckets(const void *p, unsigned level)
{
	const struct due_leaf *leaf = p;
	const struct due_node *node = p;
	uint32_t n = 0;

	for (unsigned i = 0; i < STORE_DUE_FANOUT; i++)
		n += level == 1 ? leaf->items[i] != 0 : node->buckets[i];
	return n;
}

// Puts a root above the root until the bucket is covered.
static bool due_heighten(struct store *s, struct store_due *d, uint32_t bucket)
{
	while (d->levels == 0 || (d->levels < STORE_DUE_LEVELS && bucket >> 4 * d->levels != 0)) {
		void *root = due_alloc(s, d->levels + 1);
		struct due_node *node = root;

		if (!root)
			return false;
		if (d->levels > 0) {
			node->min[0] = due_min(d->root);
			node->buckets[0] = due_buckets(d->root, d->levels);
			node->child[0] = d->root;
		}
		d->root = root;
		d->levels++;
	}
	return true;
}

// False where a node is missing.
static bool due_find(const struct store_due *d, uint32_t bucket, struct due_path *path)
{
	void *p = d->root;

	if (d->levels < STORE_DUE_LEVELS && bucket >> 4 * d->levels != 0)
		return false;
	for (unsigned level = d->levels; p && level > 1; level--) {
		path->node[level] = p;
		p = path->node[level]->child[due_at(bucket, level)];
	}
	path->leaf = p;
	return p != NULL;
}

// Makes what is missing. Nodes made before one that could not be stay, for the next who comes.
static bool due_make(struct store *s, struct store_due *d, uint32_t bucket, struct due_path *path)
{
	void **at = &d->root;

	if (!due_heighten(s, d, bucket))
		return false;
	for (unsigned level = d->levels;; level--) {
		if (!*at && !(*at = due_alloc(s, level)))
			return false;
		if (level == 1)
			break;
		path->node[level] = *at;
		at = &path->node[level]->child[due_at(bucket, level)];
	}
	path->leaf = *at;
	return true;
}

// ---- counting -----------------------------------------------------------------------------------

bool store_due_add(struct store *s, struct store_due *d, uint32_t bucket, uint32_t min, uint32_t n)
{
	unsigned at = due_at(bucket, 1);
	struct due_path path;
	bool fresh;

	base_assert(n > 0);
	if (base_unlikely(!due_find(d, bucket, &path)) && !due_make(s, d, bucket, &path))
		return false;
	fresh = path.leaf->items[at] == 0;
	if (path.leaf->items[at] + n > UINT8_MAX)
		return false;
	path.leaf->items[at] = (uint8_t)(path.leaf->items[at] + n);
	d->items += n;
	if (d->min > min)
		d->min = min;
	if (path.leaf->min[at] > min)
		path.leaf->min[at] = min;
	else if (!fresh)
		return true;
	for (unsigned level = 2; level <= d->levels; level++) {
		struct due_node *node = path.node[level];

		at = due_at(bucket, level);
		node->buckets[at] += fresh;
		if (node->min[at] > min)
			node->min[at] = min;
		else if (!fresh)
			break;
	}
	return true;
}

// The bucket has no item any more: counted off upwards, from the root down to where nothing is
// left.
static void due_bucket_leave(
	struct store *s, struct store_due *d, uint32_t bucket, struct due_path *path)
{
	if (d->items == 0) {
		store_due_close(s, d);
		return;
	}
	for (unsigned level = d->levels; level > 1; level--) {
		struct due_node *node = path->node[level];
		unsigned at = due_at(bucket, level);

		base_assert(node->buckets[at] > 0);
		if (--node->buckets[at] > 0)
			continue;
		node->min[at] = STORE_DUE_NEVER;
		due_free(s, node->child[at], level - 1);
		node->child[at] = NULL;
		return;
	}
	path->leaf->min[due_at(bucket, 1)] = STORE_DUE_NEVER;
}

void store_due_remove(struct store *s, struct store_due *d, uint32_t bucket, uint32_t n)
{
	unsigned at = due_at(bucket, 1);
	struct due_path path;

	if (!due_find(d, bucket, &path))
		base_assert(false);
	base_assert(path.leaf->items[at] >= n && d->items >= n);
	path.leaf->items[at] = (uint8_t)(path.leaf->items[at] - n);
	d->items -= n;
	if (path.leaf->items[at] == 0)
		due_bucket_leave(s, d, bucket, &path);
}

// NULL: the bucket has none.
static struct due_leaf *due_leaf_of(const struct store_due *d, uint32_t bucket)
{
	struct due_path path;

	if (!due_find(d, bucket, &path) || path.leaf->items[due_at(bucket, 1)] == 0)
		return NULL;
	return path.leaf;
}

uint32_t store_due_drop(struct store *s, struct store_due *d, uint32_t bucket)
{
	const struct due_leaf *leaf = due_leaf_of(d, bucket);
	unsigned at = due_at(bucket, 1);
	uint32_t min;

	if (!leaf)
		return STORE_DUE_NEVER;
	min = leaf->min[at];
	store_due_remove(s, d, bucket, leaf->items[at]);
	return min;
}

void store_due_min_set(struct store_due *d, uint32_t bucket, uint32_t min)
{
	struct due_path path;

	if (!due_find(d, bucket, &path) || path.leaf->items[due_at(bucket, 1)] == 0)
		return;
	path.leaf->min[due_at(bucket, 1)] = min;
	for (unsigned level = 2; level <= d->levels; level++) {
		struct due_node *node = path.node[level];
		uint32_t *at = &node->min[due_at(bucket, level)];
		uint32_t now = due_min(node->child[due_at(bucket, level)]);

		if (*at == now)
			break;
		*at = now;
	}
}

// ---- finding ------------------------------------------------------------------------------------

// -1: nothing below is due. What said so wrongly is put right on the way.
static int64_t due_first_of(void *p, unsigned level, uint32_t now_s)
{
	uint32_t *min = p;
	struct due_node *node = p;

	for (unsigned i = 0; i < STORE_DUE_FANOUT; i++) {
		int64_t below;

		if (min[i] > now_s)
			continue;
		if (level == 1)
			return i;
		below = due_first_of(node->child[i], level - 1, now_s);
		if (below >= 0)
			return (int64_t)i << 4 * (level - 1) | below;
		min[i] = due_min(node->child[i]);
	}
	return -1;
}

bool store_due_search(struct store_due *d, uint32_t now_s, uint32_t *bucket)
{
	int64_t found = d->items > 0 ? due_first_of(d->root, d->levels, now_s) : -1;

	if (found < 0)
		d->min = d->items > 0 ? due_min(d->root) : STORE_DUE_NEVER;
	*bucket = (uint32_t)found;
	return found >= 0;
}

uint32_t store_due_pick(const struct store_due *d, uint64_t random)
{
	const struct due_leaf *leaf;
	const void *p = d->root;
	uint32_t at, bucket = 0;

	base_assert(d->items > 0);
	at = (uint32_t)((random >> 32) * due_buckets(p, d->levels) >> 32);
	for (unsigned level = d->levels; level > 1; level--) {
		const struct due_node *node = p;
		unsigned i = 0;

		while (at >= node->buckets[i])
			at -= node->buckets[i++];
		bucket = bucket << 4 | i;
		p = node->child[i];
	}
	leaf = p;
	for (unsigned i = 0;; i++)
		if (leaf->items[i] && at-- == 0)
			return bucket << 4 | i;
}
