import CLinux

/// Restrictions of a child process beyond those of its user.
///
/// Every confined child is without new privileges (no set-user-ID program helps it), leaves no core file, and ends with this
/// process.
public nonisolated struct Confinement: Hashable, Sendable {
  /// The user and group that it runs as, without other groups; nil: this process's. Only root may change them.
  public var account: (user: UInt32, group: UInt32)?
  /// Bytes of its address space; nil: no bound.
  public var memoryBytes: Int?
  /// Descriptors that it may have open; nil: as many as this process.
  public var descriptorCount: Int?
  /// Bytes of a file that it writes; nil: no bound.
  public var fileBytes: Int?
  /// Processes of its user, of which it may start no more once there are so many; root is not bound. nil: no bound.
  public var processCount: Int?
  /// Whether what it starts stays in its process group, so that it ends with it, whether other processes keep their limits,
  /// priorities and memory, and whether its own memory is the first that the kernel takes back.
  public var keepsGroup = false
  /// Whether it may make sockets: without them neither network nor name service.
  public var allowsSockets = true
  /// Folders and files that it may write, everything else being read-only, where the kernel has Landlock; nil: what its
  /// user may write. What is outside can then be neither traced nor, from Linux 6.12 on, sent signals.
  public var writablePaths: [String]?

  public init() {}

  /// Whether the kernel can make everything but some paths read-only for a process.
  public static var canConfineWrites: Bool { clinux_landlock_version() > 0 }

  /// Lends the restrictions as the C structure, while the body runs.
  func withForm<Result>(_ body: (UnsafePointer<clinux_confinement>) -> Result) -> Result {
    let paths = CStringArray(writablePaths ?? [])
    var form = clinux_confinement()
    if let account {
      form.changes_user = 1
      form.user = account.user
      form.group = account.group
    }
    form.memory_bytes = UInt64(memoryBytes ?? 0)
    form.descriptors = UInt64(descriptorCount ?? 0)
    form.file_bytes = UInt64(fileBytes ?? 0)
    form.processes = UInt64(processCount ?? 0)
    form.keeps_group = keepsGroup ? 1 : 0
    form.denies_sockets = allowsSockets ? 0 : 1
    form.confines_writes = writablePaths == nil ? 0 : 1
    form.writable_count = writablePaths?.count ?? 0
    return withExtendedLifetime(paths) {
      paths.pointers.withMemoryRebound(to: UnsafePointer<CChar>?.self, capacity: form.writable_count + 1) { list in
        form.writable = UnsafePointer(list)
        return body(&form)
      }
    }
  }

  public static func == (a: Confinement, b: Confinement) -> Bool {
    a.account?.user == b.account?.user && a.account?.group == b.account?.group && a.memoryBytes == b.memoryBytes
      && a.descriptorCount == b.descriptorCount && a.fileBytes == b.fileBytes && a.processCount == b.processCount
      && a.keepsGroup == b.keepsGroup && a.allowsSockets == b.allowsSockets
      && a.writablePaths == b.writablePaths
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(account?.user)
    hasher.combine(account?.group)
    hasher.combine(memoryBytes)
    hasher.combine(allowsSockets)
    hasher.combine(writablePaths)
  }
}
