// Drivers register themselves in constructors that nothing refers to, so the
// linker would leave them out of a static program, and --whole-archive is not
// among the flags that Go lets a package ask for. Naming one symbol of each
// driver's main object has the same effect, and brings no driver that is not
// named here. (net_virtio's PCI part has no such symbol: the Makefile adds
// that archive to the program's link.)
extern char af_packet_logtype[], eth_null_logtype[], rte_eth_from_ring[];
extern char is_ixgbe_supported[], i40e_dcb_init_configure[], ice_load_pkg[];
extern char em_get_max_pktlen[], eth_igb_syn_filter_set[];

const void *const weir_drivers[] = {
	af_packet_logtype, eth_null_logtype, rte_eth_from_ring,
	is_ixgbe_supported, i40e_dcb_init_configure, ice_load_pkg,
	em_get_max_pktlen, eth_igb_syn_filter_set,
};
