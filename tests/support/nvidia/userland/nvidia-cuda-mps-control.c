// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for nvidia-cuda-mps-control. With -d it becomes the control daemon, with -f it is one in the foreground;
 * without an option it passes the commands on standard input to the daemon and prints the answers:
 *
 *   start_server -uid UID | get_server_list | quit [-t SECONDS]
 *   get_default_active_thread_percentage | set_default_active_thread_percentage PERCENT
 *   set_default_device_pinned_mem_limit DEVICE LIMIT
 *
 * Daemon and client meet in CUDA_MPS_PIPE_DIRECTORY. The control daemon opens no GPU; the servers do.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"

#define MAX_SERVERS 8
#define SERVER "nvidia-cuda-mps-server"

static const char *own_path;
static pid_t servers[MAX_SERVERS]; /* 0: free */
static double thread_percentage = 100.0;

static const char *folder(const char *variable, const char *otherwise)
{
	const char *value = getenv(variable);

	return value && *value ? value : otherwise;
}

static const char *in_pipe_folder(const char *name)
{
	static char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const char *pipes = folder("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps");

	if (snprintf(path, sizeof(path), "%s/%s", pipes, name) >= (int)sizeof(path)) {
		fprintf(stderr, "%s is too long for a socket\n", pipes);
		exit(1);
	}
	return path;
}

/* The one beside this program, which need not be in the search path. */
static void become_server(void)
{
	const char *name = strrchr(own_path, '/');
	char path[256];

	snprintf(path, sizeof(path), "%.*s" SERVER, name ? (int)(name + 1 - own_path) : 0, own_path);
	execlp(path, SERVER, NULL);
	_exit(127);
}

static void start_server(int answer)
{
	size_t free_place = 0;
	sigset_t none;

	while (free_place < MAX_SERVERS && servers[free_place])
		free_place++;
	if (free_place == MAX_SERVERS) {
		dprintf(answer, "There are %d servers already\n", MAX_SERVERS);
		return;
	}
	servers[free_place] = fork();
	if (servers[free_place] == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		become_server();
	}
	if (servers[free_place] < 0)
		servers[free_place] = 0;
}

static void stop_servers(void)
{
	for (size_t i = 0; i < MAX_SERVERS; i++) {
		if (!servers[i])
			continue;
		kill(servers[i], SIGTERM);
		waitpid(servers[i], NULL, 0);
		servers[i] = 0;
	}
}

static void forget_ended_servers(void)
{
	pid_t ended;

	while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
		for (size_t i = 0; i < MAX_SERVERS; i++)
			if (servers[i] == ended)
				servers[i] = 0;
}

/* 1 if the daemon is to end. */
static int obey(const char *command, int answer)
{
	if (strncmp(command, "quit", 4) == 0)
		return 1;
	if (strncmp(command, "start_server", 12) == 0) {
		start_server(answer);
	} else if (strcmp(command, "get_server_list") == 0) {
		for (size_t i = 0; i < MAX_SERVERS; i++)
			if (servers[i])
				dprintf(answer, "%d\n", (int)servers[i]);
	} else if (strcmp(command, "get_default_active_thread_percentage") == 0) {
		dprintf(answer, "%.1f\n", thread_percentage);
	} else if (sscanf(command, "set_default_active_thread_percentage %lf", &thread_percentage) == 1) {
		dprintf(answer, "%.1f\n", thread_percentage);
	} else if (strncmp(command, "set_default_device_pinned_mem_limit ", 36) != 0) {
		dprintf(answer, "Unknown command: %s\n", command);
	}
	return 0;
}

/* One connection, one command. A client that waits for "quit" sees the daemon's end as the connection's. */
static int serve(int listener)
{
	int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC), ends;
	char command[256];
	ssize_t got;

	if (client < 0)
		return 0;
	got = read(client, command, sizeof(command) - 1);
	command[got > 0 ? got : 0] = '\0';
	command[strcspn(command, "\n")] = '\0';
	ends = obey(command, client);
	if (!ends)
		close(client);
	return ends;
}

static int run_daemon(int in_background)
{
	struct pollfd events[2];
	sigset_t signals;

	if (in_background)
		daemon_begin();
	if (daemon_folder(folder("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")) ||
	    daemon_folder(folder("CUDA_MPS_LOG_DIRECTORY", "/var/log/nvidia-mps")))
		return 1;
	if (daemon_pid_file(in_pipe_folder("nvidia-cuda-mps-control.pid"))) {
		daemon_log("An instance of this daemon is already running");
		return 1;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	events[0] = (struct pollfd){ .fd = signalfd(-1, &signals, SFD_CLOEXEC), .events = POLLIN };
	events[1] = (struct pollfd){ .fd = daemon_socket(in_pipe_folder("control")), .events = POLLIN };
	if (events[0].fd < 0 || events[1].fd < 0)
		return 1;
	daemon_ready();
	for (int ends = 0; !ends;) {
		struct signalfd_siginfo info;

		if (poll(events, 2, -1) < 0)
			break;
		if (events[0].revents && read(events[0].fd, &info, sizeof(info)) == sizeof(info)) {
			forget_ended_servers();
			ends = info.ssi_signo != SIGCHLD;
		}
		if (events[1].revents && !ends)
			ends = serve(events[1].fd);
	}
	stop_servers();
	unlink(in_pipe_folder("control"));
	unlink(in_pipe_folder("nvidia-cuda-mps-control.pid"));
	return 0;
}

static int pass_on(const char *command)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int daemon = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[256];
	ssize_t got;

	strcpy(address.sun_path, in_pipe_folder("control"));
	if (daemon < 0 || connect(daemon, (struct sockaddr *)&address, sizeof(address))) {
		puts("Cannot find MPS control daemon process");
		return 1;
	}
	dprintf(daemon, "%s", command);
	while ((got = read(daemon, answer, sizeof(answer))) > 0)
		fwrite(answer, 1, (size_t)got, stdout);
	close(daemon);
	return 0;
}

int main(int argc, char **argv)
{
	char command[256];
	int error = 0;

	own_path = argv[0];
	if (argc == 2 && (strcmp(argv[1], "-d") == 0 || strcmp(argv[1], "-f") == 0))
		return run_daemon(argv[1][1] == 'd');
	if (argc != 1) {
		fputs("usage: nvidia-cuda-mps-control [-d | -f]\n", stderr);
		return 1;
	}
	while (!error && fgets(command, sizeof(command), stdin))
		error = pass_on(command);
	return error;
}
