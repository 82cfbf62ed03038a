"""Find out by DNS whether a domain can receive mail. No answer from DNS counts as no fault."""

import dns.asyncresolver
import dns.exception
import dns.resolver
import idna

_LIFETIME_SECONDS = 5.0


async def mail_domain_fault(domain: str, resolver: dns.asyncresolver.Resolver | None = None) -> str | None:
    """Return why a domain cannot receive mail; None if it can, or if it is not known.

    RFC 5321, 5.1: the MX records, else the domain's own addresses. RFC 7505: an MX of ``.`` takes no mail.
    """
    try:
        resolver = resolver or dns.asyncresolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        # A resolv.conf without a name server, or none at all.
        return None
    try:
        # IDNA 2008, as mail servers use it. The older IDNA 2003 mapping can give another domain.
        name = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except idna.IDNAError as error:
        return f"the domain is not valid: {error}"
    try:
        answer = await resolver.resolve(name, "MX", lifetime=_LIFETIME_SECONDS)
    except dns.resolver.NXDOMAIN:
        return "the domain does not exist"
    except dns.resolver.NoAnswer:
        return await _fault_without_mx(name, resolver)
    except (dns.exception.DNSException, OSError):
        return None
    takes_none = all(str(record.exchange) == "." for record in answer)
    return "the domain takes no mail (null MX)" if takes_none else None


async def _fault_without_mx(name: str, resolver: dns.asyncresolver.Resolver) -> str | None:
    for kind in ("A", "AAAA"):
        try:
            await resolver.resolve(name, kind, lifetime=_LIFETIME_SECONDS)
        except dns.resolver.NoAnswer:
            continue
        except (dns.exception.DNSException, OSError):
            return None
        return None
    return "the domain has no mail server and no address"
