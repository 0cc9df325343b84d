#include "ctl_path.h"
#include "datapath.h"
#include "sa.h"

json_t *
ctl_parts(const struct sa *sa, uint32_t inner, uint32_t clear)
{
	struct xform_parts x;

	xform_parts(sa, inner, clear, &x);
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "clear",
	    (int)(inner - x.payload), "payload", (int)x.payload, "outer", (int)x.outer, "udp",
	    (int)x.udp, "header", (int)x.header, "iv", (int)x.iv, "padding", (int)x.pad, "trailer",
	    (int)x.trailer, "icv", (int)x.icv);
}

json_t *
ctl_path(const struct sa *sa, uint32_t nic, uint64_t now)
{
	struct walk w = {.mtu = nic, .now = now};
	uint64_t until = __atomic_load_n(&sa->pmtu_until, __ATOMIC_RELAXED);
	uint32_t mtu, clear, largest;

	if (!nic)
		return json_null();
	mtu = pmtu_sa(&w, sa);
	clear = sa->p.mode == MODE_TUNNEL ? 0 : sa->p.dst.af == 4 ? 20 : 40;
	largest = xform_fit(sa, mtu, clear);
	return json_pack("{s:i, s:i, s:o, s:i, s:o}", "mtu", (int)mtu, "nic", (int)nic, "left_ms",
	    mtu < nic ? json_integer((json_int_t)(until - now)) : json_null(), "largest",
	    (int)largest, "parts", largest > clear ? ctl_parts(sa, largest, clear) : json_null());
}
