# SPDX-License-Identifier: BSD-3-Clause
"""All raw requests, good and broken. A case without `expect` is to be answered as Debian's
memcached 1.6.18 answers it; raw_since has those where 1.6.45 decides."""

import raw_classic
import raw_meta
import raw_since
import raw_stream

# raw_stream last: flush_all takes the other cases' keys away
CASES = raw_classic.CASES + raw_meta.CASES + raw_stream.CASES
raw_since.apply(CASES)
