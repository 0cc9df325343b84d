#include "workers.h"

static unsigned number = 1;

void
workers_set(unsigned n)
{
	number = n;
}

unsigned
workers_number(void)
{
	return number;
}
