#include <stdio.h>
#include <time.h>
#include "mono.h"

uint64_t
mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t
mono_ms(void)
{
	return mono_ns() / 1000000u;
}

char *
mono_date(char buf[static MONO_DATE_LEN])
{
	struct timespec ts;
	struct tm tm;
	char second[20];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	if (strftime(second, sizeof second, "%Y-%m-%dT%H:%M:%S", &tm) ==
	    0) /* a year of five digits */
		second[0] = '\0';
	snprintf(buf, MONO_DATE_LEN, "%s.%03uZ", second, (unsigned)(ts.tv_nsec / 1000000) % 1000);
	return buf;
}

uint64_t
mono_epoch_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
