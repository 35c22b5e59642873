// SPDX-License-Identifier: GPL-2.0
/* The parameters of the stand-in for nvidia.ko, and the files that tell what is true of it as a whole. */
#include <linux/seq_file.h>

#include "nvidia.h"

/* Permission 0, as in reality: their values are to be seen in /proc/driver/nvidia/params alone. */
#define NUMBER(name, value)                          \
	static unsigned int NVreg_##name = value;    \
	module_param(NVreg_##name, uint, 0)
#define TEXT(name)                                   \
	static char *NVreg_##name = "";              \
	module_param(NVreg_##name, charp, 0)

NUMBER(ModifyDeviceFiles, 1);
NUMBER(DeviceFileUID, 0);
NUMBER(DeviceFileGID, 0);
NUMBER(DeviceFileMode, 0666);
NUMBER(InitializeSystemMemoryAllocations, 1);
NUMBER(EnableMSI, 1);
NUMBER(EnablePCIeGen3, 0);
NUMBER(EnableStreamMemOPs, 0);
NUMBER(NvLinkDisable, 0);
NUMBER(PreserveVideoMemoryAllocations, 0);
NUMBER(EnableGpuFirmware, 18);
NUMBER(EnableGpuFirmwareLogs, 2);
NUMBER(OpenRmEnableUnsupportedGpus, 1);
TEXT(CoherentGPUMemoryMode);
TEXT(RegistryDwords);
TEXT(RegistryDwordsPerDevice);
TEXT(TemporaryFilePath);
TEXT(ExcludedGpus);

unsigned int nvidia_imex_channels = 2048;
module_param_named(NVreg_ImexChannelCount, nvidia_imex_channels, uint, 0);
unsigned int nvidia_create_imex_channel0;
module_param_named(NVreg_CreateImexChannel0, nvidia_create_imex_channel0, uint, 0);

bool nvidia_wants_firmware;
module_param_named(standin_firmware, nvidia_wants_firmware, bool, 0444);
MODULE_PARM_DESC(standin_firmware, "GPUs open only if nvidia/VERSION/gsp_ga10x.bin is found");

/* nvidia-smi reads it below /sys/module. */
static char *standin_compute_cap = "9.0";
module_param(standin_compute_cap, charp, 0444);
MODULE_PARM_DESC(standin_compute_cap, "compute capability of the GPUs");

static int version_show(struct seq_file *s, void *unused)
{
	seq_puts(s, "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  " NVIDIA_STANDIN_VERSION
		    "  Release Build  (stand-in@)  \n"
		    "GCC version:  gcc version " __VERSION__ "\n");
	return 0;
}

static int params_show(struct seq_file *s, void *unused)
{
	seq_puts(s, "ResmanDebugLevel: 4294967295\nRmLogonRC: 1\n");
#define SHOW(name) seq_printf(s, #name ": %u\n", NVreg_##name)
	SHOW(ModifyDeviceFiles);
	SHOW(DeviceFileUID);
	SHOW(DeviceFileGID);
	SHOW(DeviceFileMode);
	SHOW(InitializeSystemMemoryAllocations);
	SHOW(EnableMSI);
	SHOW(EnablePCIeGen3);
	SHOW(EnableStreamMemOPs);
	SHOW(NvLinkDisable);
	SHOW(PreserveVideoMemoryAllocations);
	SHOW(EnableGpuFirmware);
	SHOW(EnableGpuFirmwareLogs);
	SHOW(OpenRmEnableUnsupportedGpus);
	seq_printf(s, "ImexChannelCount: %u\n", nvidia_imex_channels);
	seq_printf(s, "CreateImexChannel0: %u\n", nvidia_create_imex_channel0);
#undef SHOW
#define SHOW(name) seq_printf(s, #name ": \"%s\"\n", NVreg_##name)
	SHOW(CoherentGPUMemoryMode);
	SHOW(RegistryDwords);
	SHOW(RegistryDwordsPerDevice);
	SHOW(TemporaryFilePath);
	SHOW(ExcludedGpus);
#undef SHOW
	return 0;
}

static int registry_show(struct seq_file *s, void *unused)
{
	seq_puts(s, "Binary: \"\"\n");
	return 0;
}

int nvidia_params_init(void)
{
	if (!proc_create_single(NVIDIA_PROC "/version", 0444, NULL, version_show) ||
	    !proc_create_single(NVIDIA_PROC "/params", 0444, NULL, params_show) ||
	    !proc_create_single(NVIDIA_PROC "/registry", 0444, NULL, registry_show))
		return -ENOMEM;
	return 0;
}
