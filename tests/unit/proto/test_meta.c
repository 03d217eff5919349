// SPDX-License-Identifier: BSD-3-Clause
#include "proto_cases.h"

#define DUPLICATE "reply 'CLIENT_ERROR duplicate flag'\n"
#define INVALID   "reply 'CLIENT_ERROR invalid flag'\n"
#define EITHER    "reply 'CLIENT_ERROR invalid or duplicate flag'\n"
#define BAD_TOKEN "reply 'CLIENT_ERROR bad token in command line format'\n"
#define BAD_KEY   "reply 'CLIENT_ERROR error decoding key'\n"
#define OPAQUE    "reply 'CLIENT_ERROR opaque token too long'\n"

static void mg_reads_its_flags(void **state)
{
	CASES_CHECK({"mg a\r\n", "mg a meta\n"},
		{"mg a\nmg  b  s \r\n", "mg a meta\nmg b meta flags=s returns=s\n"},
		{"mg a s t c f l h k Oqq v\r\n",
			"mg a meta flags=cfhklstvO returns=stcflhkO opaque=qq\n"},
		{"mg a q v u\n", "mg a meta flags=quv quiet\n"},
		{"mg a kxyz sfoo\r\n", "mg a meta flags=ks returns=ks\n"},
		{"mg a T30 N-1 R5\r\n",
			"mg a meta flags=NRT returns=TNR vivify=-1 recache=5 "
			"touch exptime=30\n"},
		{"mg a R5 t T30\r\n",
			"mg a meta flags=tRT returns=RtT recache=5 touch exptime=30\n"},
		{"mg a C5 E7 I x D1 J1 MX F5\r\n",
			"mg a meta flags=xCDEFIJM cas_set=7 initial=1 cas=5\n"},
		{"mg a P L Pfoo\r\n", DUPLICATE}, {"mg a Pfoo Lbar\r\n", "mg a meta flags=LP\n"},
		{"mg " K250 "\r\n", "mg k*250 meta\n"});
}

static void mg_names_what_is_wrong(void **state)
{
	CASES_CHECK({"mg\r\n", BAD_FORMAT}, {"mg \r\n", BAD_FORMAT},
		{"mg " K251 " q\r\n", BAD_FORMAT}, {"mg a s s\r\n", DUPLICATE},
		{"mg a S\r\n", INVALID}, {"mg a 1\r\n", INVALID}, {"mg a ~\r\n", BAD_FORMAT},
		{"mg a \x7f\r\n", BAD_FORMAT}, {"mg a s s \xff\r\n", BAD_FORMAT},
		{"mg a _\r\n", INVALID}, {"mg a !\r\n", BAD_FORMAT}, {"mg a T+1\r\n", BAD_TOKEN},
		{"mg a T\r\n", BAD_TOKEN}, {"mg a N1x\r\n", BAD_TOKEN}, {"mg a Rx\r\n", BAD_TOKEN},
		{"mg a Cx\r\n", BAD_TOKEN}, {"mg a Ex\r\n", BAD_TOKEN},
		{"mg a F-1\r\n", BAD_FORMAT},
		{"mg a Dx\r\n", "reply 'CLIENT_ERROR invalid numeric delta value'\n"},
		{"mg a Jx\r\n", "reply 'CLIENT_ERROR invalid numeric initial value'\n"});
}

static void the_last_error_of_a_line_is_told(void **state)
{
	CASES_CHECK({"mg a Tx s s\r\n", DUPLICATE}, {"mg a Tx Fx\r\n", BAD_TOKEN},
		{"mg a Tx Dx\r\n", "reply 'CLIENT_ERROR invalid numeric delta value'\n"},
		{"mg a Z Tx\r\n", INVALID}, {"mg a MM1 Tx\r\n", BAD_TOKEN});
}

static void an_opaque_has_32_bytes_with_its_letter(void **state)
{
	CASES_CHECK({"mg a O" O31 "\r\n", "mg a meta flags=O returns=O opaque=" O31 "\n"},
		{"mg a O\r\n", "mg a meta flags=O returns=O opaque=\n"},
		{"mg a q O" O31 "x\r\n", OPAQUE}, {"md a O" O31 "x\r\n", OPAQUE},
		{"ma a O" O31 "x\r\n", OPAQUE}, {"mg a O" O31 "x s s\r\n", DUPLICATE},
		{"ms a 3 O" O31 "x\r\nabc\r\nmn\r\n",
			"reply 'CLIENT_ERROR opaque token too long' swallow=5\nmn\n"});
}

static void a_line_has_at_most_20_tokens(void **state)
{
	CASES_CHECK(
		{"mg a s t c f l h k v q u P L O1 N1 T1 R1 F1 D1\r\n",
			"mg a meta flags=cfhklqstuvDFLNOPRT returns=stcflhkONTR opaque=1 vivify=1 "
			"recache=1 touch exptime=1 quiet\n"},
		{"mg a s t c f l h k v q u P L O1 N1 T1 R1 F1 D1 J1\r\n",
			"reply 'CLIENT_ERROR options flags are too long'\n"},
		{"md a s t c f l h k v q u P L O1 N1 T1 R1 F1 D1 J1\r\n",
			"reply 'CLIENT_ERROR options flags are too long'\n"},
		{"ma a s t c f l h k v q u P L O1 N1 T1 R1 F1 D1 J1\r\n", EITHER},
		{"md a k k k k k k k k k k k k k k k k k k k k k !\r\n",
			"reply 'CLIENT_ERROR options flags are too long'\n"},
		{"ms a 1 t c f l h k v q u P L O1 N1 T1 R1 F1 D1 J1\r\nx\r\nmn\r\n",
			"reply 'CLIENT_ERROR options flags are too long' swallow=3\nmn\n"});
}

static void a_key_in_base64_is_decoded(void **state)
{
	CASES_CHECK({"mg YQ== b k\r\n", "mg a meta flags=bk returns=k base64\n"},
		{"md YWI= b\r\n", "delete ab meta flags=b base64\n"},
		{"ma YWJj b\r\n", "incr abc meta flags=b delta=1 base64\n"},
		{"ms YQ== 1 b\r\nx\r\n", "set a meta flags=b flags=0 bytes=1 base64\n"},
		{"me YQ== b\r\n", "me a meta base64\n"},
		{"mg AP8K b\n", "mg \\x00\\xff\\x0a meta flags=b base64\n"},
		{"mg YR== b\r\n", "mg a meta flags=b base64\n"},
		{"mg Y!Q== b\r\n", "mg a meta flags=b base64\n"},
		{"mg YQ==YWJj b\r\n", "mg a meta flags=b base64\n"}, {"mg YQ b\r\n", BAD_KEY},
		{"mg YQ= b\r\n", BAD_KEY}, {"mg !! b\r\n", BAD_KEY}, {"mg Y=== b\r\n", BAD_KEY},
		{"mg ==== b\r\n", BAD_KEY}, {"mg YQ==x b\r\n", BAD_KEY}, {"md !! b\r\n", BAD_KEY},
		{"ma !! b\r\n", EITHER}, {"me !! b\r\n", BAD_FORMAT},
		{"ms !! 1 b\r\nx\r\nmn\r\n",
			"reply 'CLIENT_ERROR error decoding key' swallow=3\nmn\n"});
}

static void ms_reads_its_flags(void **state)
{
	CASES_CHECK({"ms a 3\r\nabc\r\nmn\r\n", "set a meta flags=0 bytes=3\nmn\n"},
		{"ms a 0 q\r\n\r\n", "set a meta flags=q flags=0 bytes=0 quiet\n"},
		{"ms a 3 T30 F7 c k O1 s t\r\nabc\r\n",
			"set a meta flags=ckstFOT returns=ckOs opaque=1 touch flags=7 bytes=3 "
			"exptime=30\n"},
		{"ms a 1 ME\r\nx\r\n", "add a meta flags=M flags=0 bytes=1\n"},
		{"ms a 1 MA N60\r\nx\r\n", "append a meta flags=MN vivify=60 flags=0 bytes=1\n"},
		{"ms a 1 MP\r\nx\r\n", "prepend a meta flags=M flags=0 bytes=1\n"},
		{"ms a 1 MR\r\nx\r\n", "replace a meta flags=M flags=0 bytes=1\n"},
		{"ms a 1 MS E9\r\nx\r\n", "set a meta flags=EM cas_set=9 flags=0 bytes=1\n"},
		{"ms a 1 I\r\nx\r\n", "set a meta flags=I flags=0 bytes=1\n"},
		{"ms a 03\r\nabc\r\n", "set a meta flags=0 bytes=3\n"},
		{"ms a 1 MEE\r\nx\r\n", "add a meta flags=M flags=0 bytes=1\n"},
		{"ms a 2000000\r\nx", "set a meta flags=0 bytes=2000000\n"});
}

static void c_makes_set_and_replace_compare(void **state)
{
	CASES_CHECK({"ms a 1 C5\r\nx\r\n", "cas a meta flags=C flags=0 bytes=1 cas=5\n"},
		{"ms a 1 C5 MR I\r\nx\r\n", "cas a meta flags=CIM flags=0 bytes=1 cas=5\n"},
		{"ms a 1 C5 ME\r\nx\r\n", "add a meta flags=CM flags=0 bytes=1 cas=5\n"},
		{"ms a 1 C5 MA\r\nx\r\n", "append a meta flags=CM flags=0 bytes=1 cas=5\n"});
}

static void ms_swallows_when_it_knows_how_much(void **state)
{
#define BAD_5 "reply 'CLIENT_ERROR bad command line format' swallow=5\n"
	CASES_CHECK(
		{"ms a 3 S\r\nabc\r\nmn\r\n", "reply 'CLIENT_ERROR invalid flag' swallow=5\nmn\n"},
		{"ms a 3 c c\r\nabc\r\nmn\r\n",
			"reply 'CLIENT_ERROR duplicate flag' swallow=5\nmn\n"},
		{"ms a 3 MX\r\nabc\r\nmn\r\n",
			"reply 'CLIENT_ERROR invalid mode for ms M token' swallow=5\nmn\n"},
		{"ms a 3 Me\r\nabc\r\n",
			"reply 'CLIENT_ERROR invalid mode for ms M token' swallow=5\n"},
		{"ms a 3 M\r\nabc\r\n",
			"reply 'CLIENT_ERROR invalid mode for ms M token' swallow=5\n"},
		{"ms a 3 Fx\r\nabc\r\n", BAD_5}, {"ms a 3 F4294967296\r\nabc\r\n", BAD_5},
		{"ms a 3 ~\r\nabc\r\n", BAD_FORMAT ERROR}, {"ms a +3\r\n", BAD_FORMAT},
		{"ms a\r\nabc\r\n", BAD_FORMAT ERROR}, {"ms\r\n", BAD_FORMAT},
		{"ms a x\r\nabc\r\n", BAD_FORMAT ERROR}, {"ms a -1\r\n", BAD_FORMAT},
		{"ms a S3\r\n", BAD_FORMAT}, {"ms a 2147483646\r\n", BAD_FORMAT},
		{"ms " K251 " 3\r\nabc\r\nmn\r\n", BAD_5 "mn\n"});
}

static void md_reads_its_flags(void **state)
{
	CASES_CHECK({"md a\r\n", "delete a meta\n"},
		{"md a q k O1 C5 I T30 c s t f v\r\n",
			"delete a meta flags=cfkqstvCIOT returns=kO opaque=1 touch exptime=30 "
			"cas=5 "
			"quiet\n"},
		{"md a x E3\r\n", "delete a meta flags=xE cas_set=3\n"}, {"md\r\n", BAD_FORMAT},
		{"md " K251 "\r\n", BAD_FORMAT}, {"md a s s\r\n", DUPLICATE},
		{"md a Z\r\n", INVALID}, {"md a 0\r\n", INVALID}, {"md a Cx\r\n", BAD_TOKEN},
		{"md a Tx\r\n", BAD_TOKEN});
}

static void ma_reads_its_flags(void **state)
{
	CASES_CHECK({"ma a\r\n", "incr a meta delta=1\n"},
		{"ma a MI D18446744073709551615\r\n",
			"incr a meta flags=DM delta=18446744073709551615\n"},
		{"ma a MD D5 v q\r\n", "decr a meta flags=qvDM delta=5 quiet\n"},
		{"ma a M- D0\r\n", "decr a meta flags=DM delta=0\n"},
		{"ma a M+\r\n", "incr a meta flags=M delta=1\n"},
		{"ma a t N30 J13 T5 c k O1 f s\r\n",
			"incr a meta flags=cfkstJNOT returns=tNTckO opaque=1 vivify=30 initial=13 "
			"touch exptime=5 delta=1\n"},
		{"ma\r\n", BAD_FORMAT},
		{"ma a Mi\r\n", "reply 'CLIENT_ERROR invalid mode for ma M token'\n"},
		{"ma a M\r\n", "reply 'CLIENT_ERROR invalid mode for ma M token'\n"},
		{"ma a MIncr\r\n", "incr a meta flags=M delta=1\n"}, {"ma " K251 "\r\n", EITHER},
		{"ma a ~\r\n", BAD_FORMAT}, {"ma a D\r\n", EITHER}, {"ma a D-1\r\n", EITHER},
		{"ma a Jx\r\n", EITHER}, {"ma a D18446744073709551616\r\n", EITHER},
		{"ma a s s\r\n", EITHER});
}

static void mn_and_me_ignore_what_they_do_not_know(void **state)
{
	CASES_CHECK({"mn\r\n", "mn\n"}, {"mn a b c\n", "mn\n"}, {"me a\r\n", "me a meta\n"},
		{"me a s t\r\n", "me a meta\n"}, {"me a ~\r\n", BAD_FORMAT},
		{"me YQ== s b\r\n", "me YQ== meta\n"}, {"me YQ== b b\r\n", "me a meta base64\n"},
		{"me\r\n", BAD_FORMAT}, {"me a b\r\n", BAD_FORMAT}, {"me " K251 "\r\n", BAD_FORMAT},
		{"me a 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5\r\n", "me a meta\n"});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mg_reads_its_flags),
		cmocka_unit_test(mg_names_what_is_wrong),
		cmocka_unit_test(the_last_error_of_a_line_is_told),
		cmocka_unit_test(an_opaque_has_32_bytes_with_its_letter),
		cmocka_unit_test(a_line_has_at_most_20_tokens),
		cmocka_unit_test(a_key_in_base64_is_decoded),
		cmocka_unit_test(ms_reads_its_flags),
		cmocka_unit_test(c_makes_set_and_replace_compare),
		cmocka_unit_test(ms_swallows_when_it_knows_how_much),
		cmocka_unit_test(md_reads_its_flags),
		cmocka_unit_test(ma_reads_its_flags),
		cmocka_unit_test(mn_and_me_ignore_what_they_do_not_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
