import CLinux
import Glibc

extension Settings {
  /// `[templates] cache_size`; 0 where results are not kept.
  var keptTemplateBytes: Int {
    value("templates", "cache")?.value.text == "never" ? 0 : value("templates", "cache_size")?.value.integer ?? 64 << 20
  }
}

extension RendererSettings {
  /// `[templates]`, and what else of bcfg2.conf templates depend on.
  ///
  /// - Parameter isChild: for a child of the multiprocessing core, which shares the processors with the others.
  init(_ settings: Settings, isChild: Bool) {
    self.init()
    let processors = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    python = settings.value("templates", "python")?.value.text ?? python
    let total = settings.value("templates", "processes")?.value.integer ?? processors
    processes = isChild ? max(1, total / max(1, settings.children ?? processors)) : total
    timeout = settings.value("templates", "timeout")?.value.duration ?? timeout
    memoryBytes = settings.value("templates", "memory")?.value.integer ?? memoryBytes
    isTraced = settings.value("templates", "cache")?.value.text != "never"
    user = settings.value("templates", "user")?.value.integer.map { UInt32($0) }
    group = settings.value("templates", "group")?.value.integer.map { UInt32($0) }
    allowsNetwork = settings.value("templates", "network")?.value.boolean ?? allowsNetwork
    repository = settings.repository
    encoding = settings.encoding
    writesProperties = settings.propertiesWritesEnabled
  }
}
