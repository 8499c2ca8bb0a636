package vm

// Where Debian's ovmf puts the firmware that checks signatures. It keeps its
// variables out of the system's reach, in system management mode.
const ovmfSecureCode = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"

// firmware gives the files of code and of initial variables.
func (m *Machine) firmware() (code, vars string) {
	if m.SecureBoot != "" {
		return ovmfSecureCode, m.SecureBoot
	}
	return ovmfCode, ovmfVars
}

// secureArgs protect the variables; without this the firmware does not start.
func (m *Machine) secureArgs() []string {
	if m.SecureBoot == "" {
		return nil
	}
	return []string{"-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1"}
}
