// SPDX-License-Identifier: BSD-3-Clause
// Devices looked at before EAL is: EAL goes on without a virtual device that fails, and a second
// process on the same TAP would silently get half of its packets. So: what is missing, taken or
// left over is said here, in one line.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "port/port_internal.h"

#define SO_ACCEPTCON_FLAG 0x10000 // of /proc/net/unix: a listening socket

bool port_vdev_is(const char *vdev, const char *driver)
{
	size_t len = strlen(driver),
	       digits = strspn(vdev + (strncmp(vdev, driver, len) ? 0 : len), "0123456789");

	return !strncmp(vdev, driver, len) && (vdev[len + digits] == ',' || !vdev[len + digits]);
}

bool port_vdev_value(const char *vdev, const char *key, char *buf, size_t len)
{
	size_t key_len = strlen(key);

	for (const char *p = strchr(vdev, ','); p; p = strchr(p, ',')) {
		p++;
		if (!strncmp(p, key, key_len) && p[key_len] == '=') {
			size_t n = strcspn(p + key_len + 1, ",");

			snprintf(buf, len, "%.*s", (int)n, p + key_len + 1);
			return n < len;
		}
	}
	return false;
}

// Holds the name of an interface for this process: an abstract socket, which is as local to the
// network namespace as the interface is, and goes with the process. The fd or -errno.
static int iface_claim(const char *iface)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int n = snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "lcached-port:%s", iface);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static int claim(struct port_eal *eal, unsigned slot, const char *iface)
{
	int fd = iface_claim(iface);

	if (fd < 0) {
		base_error("port: interface %s: %s", iface,
			fd == -EADDRINUSE ? "another lcached uses it" : strerror(-fd));
		return fd;
	}
	eal->claim_fd[slot] = fd;
	return 0;
}

// Says what the process may not do, before a driver says something else about it. Capabilities as
// the kernel numbers them.
#define CAP_NET_ADMIN_BIT 12
#define CAP_NET_RAW_BIT   13

static int capability_check(const char *vdev, unsigned bit, const char *name)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long caps = ~0ull;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	if (f)
		fclose(f);
	if (caps >> bit & 1)
		return 0;
	base_error("port: %.*s needs root (or %s)", (int)strcspn(vdev, ","), vdev, name);
	return -EPERM;
}

static int tap_check(struct port_eal *eal, unsigned slot, const char *vdev)
{
	char iface[IF_NAMESIZE], persist[4];
	int fd, rc;

	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		rc = -errno;
		base_error(
			"port: /dev/net/tun: %s (the TAP device needs it: root, and modprobe tun)",
			strerror(-rc));
		return rc;
	}
	close(fd);
	rc = capability_check(vdev, CAP_NET_ADMIN_BIT, "CAP_NET_ADMIN");
	if (rc)
		return rc;
	if (!port_vdev_value(vdev, "iface", iface, sizeof(iface)))
		return 0; // the driver makes a name
	rc = claim(eal, slot, iface);
	if (rc)
		return rc;
	if (if_nametoindex(iface) && !strstr(vdev, ",persist") &&
		!port_vdev_value(vdev, "persist", persist, sizeof(persist))) {
		base_error("port: interface %s exists already: another program's? (ip link del %s)",
			iface, iface);
		return -EEXIST;
	}
	return 0;
}

static int iface_check(struct port_eal *eal, unsigned slot, const char *vdev)
{
	char iface[IF_NAMESIZE];
	int rc;

	if (!port_vdev_value(vdev, "iface", iface, sizeof(iface))) {
		base_error("port: %s: no iface=NAME of up to 15 characters", vdev);
		return -EINVAL;
	}
	if (!if_nametoindex(iface)) {
		base_error("port: no interface %s (%s)", iface, vdev);
		return -ENODEV;
	}
	rc = capability_check(vdev, CAP_NET_RAW_BIT, "CAP_NET_RAW");
	if (rc)
		return rc;
	return claim(eal, slot, iface);
}

// Is somebody listening on this path? /proc/net/unix is asked first, as a connection made to find
// out would be taken for the peer.
static bool socket_listened(const char *path)
{
	char line[512], found[256];
	FILE *f = fopen("/proc/net/unix", "re");
	bool yes = false;

	while (f && !yes && fgets(line, sizeof(line), f)) {
		unsigned flags;

		if (sscanf(line, "%*s %*s %*s %x %*s %*s %*s %255s", &flags, found) == 2)
			yes = (flags & SO_ACCEPTCON_FLAG) && !strcmp(found, path);
	}
	if (f)
		fclose(f);
	return yes;
}

// The same for a listener in another network namespace, which /proc/net/unix does not show.
static bool socket_connects(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;

	if (fd < 0 || strlen(path) >= sizeof(addr.sun_path))
		return false;
	strcpy(addr.sun_path, path);
	rc = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ? errno : 0;
	close(fd);
	return rc == 0 || rc == EAGAIN;
}

// A socket can be made in the path's folder.
static int folder_check(const char *path)
{
	char folder[256];
	const char *slash = strrchr(path, '/');
	int rc;

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) : 1,
		slash ? path : ".");
	if (!access(slash == path ? "/" : folder, W_OK | X_OK))
		return 0;
	rc = -errno;
	base_error("port: socket %s: its folder: %s", path, strerror(-rc));
	return rc;
}

// A path that the driver will listen on: gone, or removed when stale.
static int socket_clear(const char *path)
{
	struct stat st;

	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		base_error("port: socket %s: path too long", path);
		return -ENAMETOOLONG;
	}
	if (lstat(path, &st))
		return folder_check(path);
	if (!S_ISSOCK(st.st_mode)) {
		base_error("port: %s exists and is no socket", path);
		return -EEXIST;
	}
	if (socket_listened(path) || socket_connects(path)) {
		base_error("port: socket %s: another process listens on it", path);
		return -EADDRINUSE;
	}
	if (unlink(path)) {
		int rc = -errno;

		base_error("port: stale socket %s cannot be removed: %s", path, strerror(-rc));
		return rc;
	}
	base_info("port: stale socket %s removed", path);
	return 0;
}

static int socket_check(const char *vdev)
{
	char path[256], value[16];
	bool listens;

	if (port_vdev_is(vdev, "net_virtio_user"))
		listens = port_vdev_value(vdev, "path", path, sizeof(path)) &&
			port_vdev_value(vdev, "server", value, sizeof(value)) &&
			!strcmp(value, "1");
	else if (port_vdev_is(vdev, "net_vhost"))
		listens = port_vdev_value(vdev, "iface", path, sizeof(path)) &&
			!(port_vdev_value(vdev, "client", value, sizeof(value)) &&
				!strcmp(value, "1"));
	else // memif; sockets are abstract unless said otherwise
		listens = port_vdev_value(vdev, "socket", path, sizeof(path)) &&
			port_vdev_value(vdev, "role", value, sizeof(value)) &&
			(!strcmp(value, "server") || !strcmp(value, "master")) &&
			port_vdev_value(vdev, "socket-abstract", value, sizeof(value)) &&
			!strcmp(value, "no");
	return listens ? socket_clear(path) : 0;
}

// Full sysfs name of a configured address: the domain may have been left out, arguments may follow.
static void pci_sysfs(const char *pci, const char *leaf, char *buf, size_t len)
{
	int n = (int)strcspn(pci, ",");
	bool domain = memchr(pci, ':', (size_t)n) != strrchr(pci, ':');

	snprintf(buf, len, "/sys/bus/pci/devices/%s%.*s/%s", domain ? "" : "0000:", n, pci, leaf);
}

static int pci_check(const char *pci)
{
	// mlx drivers share the device with DPDK
	static const char *const usable[] = {
		"vfio-pci", "igb_uio", "uio_pci_generic", "mlx5_core", "mlx4_core"};
	char path[128], target[PATH_MAX];
	const char *driver = "no driver";
	ssize_t n;

	pci_sysfs(pci, "", path, sizeof(path));
	if (access(path, F_OK)) {
		base_error("port: no PCI device %s (scripts/bind-nic status)", pci);
		return -ENODEV;
	}
	pci_sysfs(pci, "driver", path, sizeof(path));
	n = readlink(path, target, sizeof(target) - 1);
	if (n > 0) {
		target[n] = '\0';
		driver = strrchr(target, '/') ? strrchr(target, '/') + 1 : target;
	}
	for (unsigned i = 0; i < BASE_ARRAY_LEN(usable); i++)
		if (!strcmp(driver, usable[i]))
			return 0;
	base_error("port: PCI device %s is bound to %s, not to vfio-pci (scripts/bind-nic bind %s)",
		pci, driver, pci);
	return -EBUSY;
}

int port_numa_guess(const struct port_config *cfg)
{
	char path[128];
	int node = -1;
	FILE *f;

	if (!cfg->pcis)
		return -1;
	pci_sysfs(cfg->pci[0], "numa_node", path, sizeof(path));
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "%d", &node) != 1)
		node = -1;
	fclose(f);
	return node;
}

int port_devices_check(struct port_eal *eal, const struct port_config *cfg)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < cfg->vdevs; i++) {
		const char *vdev = cfg->vdev[i];

		if (port_vdev_is(vdev, "net_tap"))
			rc = tap_check(eal, i, vdev);
		else if (port_vdev_is(vdev, "net_af_packet") || port_vdev_is(vdev, "net_af_xdp"))
			rc = iface_check(eal, i, vdev);
		else if (port_vdev_is(vdev, "net_virtio_user") || port_vdev_is(vdev, "net_vhost") ||
			port_vdev_is(vdev, "net_memif"))
			rc = socket_check(vdev);
	}
	for (unsigned i = 0; !rc && i < cfg->pcis; i++)
		rc = pci_check(cfg->pci[i]);
	return rc;
}
