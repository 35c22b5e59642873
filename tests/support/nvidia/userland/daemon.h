/* SPDX-License-Identifier: GPL-2.0 */
/* What the stand-in's daemons have in common. */
#ifndef NVIDIA_STANDIN_DAEMON_H
#define NVIDIA_STANDIN_DAEMON_H

/* Goes on in a child. The parent ends when the child calls daemon_ready(): 0, or 1 if it never does. */
void daemon_begin(void);
void daemon_ready(void);

/* To standard error until daemon_ready(), and to the system's log. */
__attribute__((format(printf, 1, 2))) void daemon_log(const char *format, ...);

/* Locked, so that there is one daemon at a time; the lock goes with the process. -1 after saying why. */
int daemon_pid_file(const char *path);
/* A listening Unix socket, or -1 after saying why. */
int daemon_socket(const char *path);
/* A folder, unless it is there. -1 after saying why. */
int daemon_folder(const char *path);

/* Until SIGTERM or SIGINT. */
void daemon_wait(void);

#endif
