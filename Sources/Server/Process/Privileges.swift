import CLinux
public import EventLoop
import Glibc
import ServerSettings

/// Changes the user of the process for good.
public nonisolated enum Privileges {
  /// Sets user, group and the user's supplementary groups, makes this irreversible, and checks that it is.
  ///
  /// A process that is not root and is to keep its user, or to use the default 0, stays unchanged. HOME becomes the
  /// user's home, as in Bcfg2. A signal that the kernel sends when the parent ends is kept.
  ///
  /// - Throws: if any step failed; the caller must not go on.
  public static func drop(user: UInt32, group: UInt32) throws(SystemError) {
    let entry = Accounts.entry(of: user)
    if geteuid() != 0 {
      guard (user == 0 || user == geteuid()) && (group == 0 || group == getegid()) else {
        throw SystemError(call: "setuid", errno: EPERM, detail: "to user \(user), group \(group) without being root")
      }
      return
    }
    if let entry, user != 0 {
      guard initgroups(entry.name, group) == 0 else {
        throw SystemError(call: "initgroups", errno: errno, detail: entry.name)
      }
    } else if user != 0 || group != 0 {
      var groups = [group]
      guard setgroups(1, &groups) == 0 else { throw SystemError(call: "setgroups", errno: errno, detail: "\(group)") }
    }
    let deathSignal = clinux_parent_death_signal()
    guard setgid(group) == 0 else { throw SystemError(call: "setgid", errno: errno, detail: "\(group)") }
    guard setuid(user) == 0 else { throw SystemError(call: "setuid", errno: errno, detail: "\(user)") }
    guard clinux_process_owner_is(user, group) == 1 else {
      throw SystemError(call: "getresuid", errno: EPERM, detail: "privileges were not dropped completely")
    }
    if user != 0 {
      guard setuid(0) != 0, seteuid(0) != 0 else {
        throw SystemError(call: "setuid", errno: EPERM, detail: "privileges could be taken back")
      }
    }
    // The kernel forgets it when the user changes.
    if deathSignal != 0 {
      guard clinux_set_parent_death_signal(deathSignal) == 0 else {
        throw SystemError(call: "prctl", errno: errno, detail: "PR_SET_PDEATHSIG")
      }
    }
    if let entry { setenv("HOME", entry.home, 1) }
  }
}
