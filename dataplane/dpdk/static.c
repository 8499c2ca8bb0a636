// What a static program cannot do and this one never needs: EAL loads no
// plugins (-d) and saves no traces, libnuma pins nothing by host name, and Go
// resolves names itself (netdns=go in main.go). The calls behind them, which
// would want the C library's shared parts at run time, are cut off with --wrap.
#include <netdb.h>
#include <stddef.h>

void *__wrap_dlopen(const char *file, int mode)
{
	(void)file;
	(void)mode;
	return NULL;
}

struct passwd *__wrap_getpwuid(unsigned int uid)
{
	(void)uid;
	return NULL;
}

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	(void)node;
	(void)service;
	(void)hints;
	*res = NULL;
	return EAI_FAIL;
}
