// SPDX-License-Identifier: GPL-2.0
/*
 * A camera that is nothing but a file in /proc. It asks of the kernel only what kernels of other releases give it too:
 * no structure that they lay out differently. camera-config.h, made by ../build, tells its name and version.
 */
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

static int camera_show(struct seq_file *s, void *unused)
{
	seq_printf(s, "%s %s\n", CAMERA_NAME, CAMERA_VERSION);
	return 0;
}

static int __init camera_init(void)
{
	return proc_create_single("driver/" CAMERA_NAME, 0444, NULL, camera_show) ? 0 : -ENOMEM;
}

static void __exit camera_exit(void)
{
	remove_proc_entry("driver/" CAMERA_NAME, NULL);
}

module_init(camera_init);
module_exit(camera_exit);
MODULE_DESCRIPTION("Stand-in for a camera's driver, for tests of which kernel takes which module");
MODULE_LICENSE("GPL");
MODULE_VERSION(CAMERA_VERSION);
