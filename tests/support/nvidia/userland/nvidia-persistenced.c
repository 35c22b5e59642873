// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for nvidia-persistenced: it keeps the GPUs' nodes open, so that the driver stays set up, and stops the
 * modules from being removed. The stand-in's own: --standin-ignore-term, for what does not end when asked to.
 */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "driver.h"

#define FOLDER "/var/run/nvidia-persistenced"

enum { PERSISTENCE = 1000, NO_PERSISTENCE, UVM, NO_UVM, CFG_PATH, IGNORE_TERM };

static const struct option options[] = {
	{ "user", required_argument, NULL, 'u' },
	{ "persistence-mode", no_argument, NULL, PERSISTENCE },
	{ "no-persistence-mode", no_argument, NULL, NO_PERSISTENCE },
	{ "uvm-persistence-mode", no_argument, NULL, UVM },
	{ "no-uvm-persistence-mode", no_argument, NULL, NO_UVM },
	{ "nvidia-cfg-path", required_argument, NULL, CFG_PATH },
	{ "verbose", no_argument, NULL, 'V' },
	{ "version", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "standin-ignore-term", no_argument, NULL, IGNORE_TERM },
	{ NULL, 0, NULL, 0 },
};

/* The folder becomes the user's, and so does the process. */
static int become(const struct passwd *user)
{
	if (chown(FOLDER, user->pw_uid, user->pw_gid) || initgroups(user->pw_name, user->pw_gid) ||
	    setgid(user->pw_gid) || setuid(user->pw_uid)) {
		daemon_log("Failed to become user %s: %s", user->pw_name, strerror(errno));
		return -1;
	}
	return 0;
}

static int start(const struct passwd *user, int persistence)
{
	char version[32];

	if (daemon_folder(FOLDER) || (user && become(user)))
		return -1;
	if (daemon_pid_file(FOLDER "/nvidia-persistenced.pid") || daemon_socket(FOLDER "/socket") < 0)
		return -1;
	switch (driver_check(version, sizeof(version))) {
	case DRIVER_NOT_LOADED:
		daemon_log("Failed to query NVIDIA devices. Please ensure that the NVIDIA device files (/dev/nvidia*) "
			   "exist, and that user %u has read and write permissions for those files.",
			   (unsigned int)getuid());
		return -1;
	case DRIVER_OF_OTHER_VERSION:
		daemon_log("Driver/library version mismatch: kernel modules %s, nvidia-persistenced %s", version,
			   NVIDIA_STANDIN_VERSION);
		return -1;
	case DRIVER_MATCHES:
		break;
	}
	return persistence ? driver_hold_gpus() : 0;
}

int main(int argc, char **argv)
{
	int persistence = 1, ignore_term = 0, verbose = 0, option;
	const struct passwd *user = NULL;

	while ((option = getopt_long(argc, argv, "u:Vvh", options, NULL)) != -1) {
		switch (option) {
		case 'u':
			user = getpwnam(optarg);
			if (!user) {
				fprintf(stderr, "nvidia-persistenced: there is no user \"%s\"\n", optarg);
				return 1;
			}
			break;
		case PERSISTENCE:
			persistence = 1;
			break;
		case NO_PERSISTENCE:
			persistence = 0;
			break;
		case UVM:
		case NO_UVM:
		case CFG_PATH:
			break;
		case IGNORE_TERM:
			ignore_term = 1;
			break;
		case 'V':
			verbose = 1;
			break;
		case 'v':
			puts("nvidia-persistenced:  version " NVIDIA_STANDIN_VERSION);
			return 0;
		case 'h':
			for (const struct option *known = options; known->name; known++)
				printf("--%s%s\n", known->name, known->has_arg ? "=..." : "");
			return 0;
		default:
			return 1;
		}
	}
	if (optind != argc) {
		fprintf(stderr, "nvidia-persistenced: unknown argument \"%s\"\n", argv[optind]);
		return 1;
	}
	if (ignore_term) {
		signal(SIGTERM, SIG_IGN);
		signal(SIGINT, SIG_IGN);
	}
	daemon_begin();
	if (start(user, persistence)) {
		daemon_log("nvidia-persistenced failed to initialize. Check syslog for more details.");
		return 1;
	}
	if (verbose)
		daemon_log("Started (%d)", (int)getpid());
	daemon_ready();
	if (ignore_term)
		for (;;)
			pause();
	daemon_wait();
	unlink(FOLDER "/socket");
	unlink(FOLDER "/nvidia-persistenced.pid");
	return 0;
}
