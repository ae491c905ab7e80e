import Core
import EventLoop
import Identity
import Logging
import Repository
import ServerSettings
import XMLRPC

/// Brings files of clients into Cfg: asks for them by probes, and writes new ones as files of that host.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/FileProbes.py.
final class FileProbesPlugin: Plugin, Probing {
  override class var name: String { "FileProbes" }
  override class var options: any OptionGroup { FileProbesOptions.standard }

  private let config: StructFile

  /// What a client sends goes into Cfg, whose files are watched.
  override var reportsChanges: Bool { true }

  required init(_ context: PluginContext) {
    config = StructFile(
      path: context.folder + "/config.xml", monitor: context.core.fileMonitor, logger: context.logger,
      creatingTopTag: Self.name)
    super.init(context)
  }

  override func load() { config.watch() }

  /// - Throws: `PluginExecutionError` where no plugin keeps contents of paths.
  private func contents() throws -> any PathContents {
    guard let plugin = core.plugins(of: (any PathContents).self).first else {
      throw PluginExecutionError("FileProbes needs the plugin Cfg")
    }
    return plugin
  }

  /// Files that are written together, with an info.xml each.
  private static let batchLimit = FileWriter.openLimit / 2

  /// Orders the tasks that make or change an info.xml, one after the other.
  private let infoTurn = ExclusiveTurn()

  /// A file that config.xml names. What is neither `true` nor `false` asks for a file, but never overwrites one.
  private struct WantedFile {
    let path: String
    /// The attribute in lower case.
    let update: String
  }

  /// The files that config.xml names for a client. Of two elements for one path the last one counts.
  private func wanted(_ metadata: ClientMetadata) async throws -> [WantedFile] {
    try await config.prepare(metadata, by: core.xmlTemplateRenderer)
    var found: [WantedFile] = []
    for entry in config.match(metadata) {
      guard let path = entry.name else {
        logger.error("\(XMLFileError(path: config.path, line: Int(entry.line), message: "FileProbe has no name"))")
        continue
      }
      found.removeAll { Name.areSame($0.path, path) }
      found.append(WantedFile(path: path, update: entry["update"]?.lowercased() ?? "false"))
    }
    return found
  }

  /// The files that the client is asked for: not those that Cfg lacks and config.xml does not update, as in 1.3.4 and
  /// 1.4.
  private func asked(_ metadata: ClientMetadata, _ contents: any PathContents) async throws -> [WantedFile] {
    try await wanted(metadata).filter { $0.update != "false" || contents.hasContents(ofPath: $0.path, metadata) }
  }

  func getProbes(_ metadata: ClientMetadata) async throws -> [Element] {
    let contents = try contents()
    return try await asked(metadata, contents).map { file in
      debugLog("Adding file probe for \(file.path) to \(metadata.hostname)")
      let probe = Element("probe", ["name": file.path, "source": name, "interpreter": "/usr/bin/env python"])
      probe.text = FileProbeProgram.text(for: file.path)
      return probe
    }
  }

  /// Writes a client's files: all of them, or none if one was not asked for or is too large.
  ///
  /// They are on disk when this returns. If the client goes away meanwhile, the remaining files are not written.
  func receiveData(_ metadata: ClientMetadata, _ data: [Element]) async throws {
    debugLog("Receiving file probe data from \(metadata.hostname)")
    let contents = try contents()
    var wanted: [Name: WantedFile] = [:]
    for file in try await asked(metadata, contents) { wanted[Name(file.path)] = file }
    var uploads: [Upload] = []
    for document in documents(data, of: metadata.hostname) {
      let path = document.name ?? "None"
      guard let file = wanted.removeValue(forKey: Name(path)) else {
        throw PluginExecutionError("\(path) is not asked for from \(metadata.hostname), or is there twice")
      }
      uploads.append(try upload(document, file, contents, metadata.hostname))
    }
    while !uploads.isEmpty {
      guard !Task.isCancelled else {
        throw PluginExecutionError("\(metadata.hostname) has gone, \(uploads.count) of its files were not written")
      }
      try await write(Array(uploads.prefix(Self.batchLimit)), contents, metadata)
      uploads.removeFirst(min(uploads.count, Self.batchLimit))
    }
  }

  /// The answers that are XML. Logs the others: complaints of the program, or no answer at all.
  private func documents(_ data: [Element], of client: ClientName) -> [Element] {
    var logBudget = RequestLogBudget()
    let found: [Element] = data.compactMap { item in
      do throws(XMLError) {
        if let text = item.text, !text.isEmpty { return try ClientDocument.parse(text) }
      } catch {
        if logBudget.admit() { logger.error("\((item.text ?? "").beginning(bytes: 1024))") }
        return nil
      }
      if logBudget.admit() {
        logger.error("Got null response to \((item.name ?? "None").beginning(bytes: 1024)) file probe from \(client)")
      }
      return nil
    }
    if logBudget.suppressedCount > 0 {
      logger.error("Got \(logBudget.suppressedCount) more file probes without a file from \(client)")
    }
    return found
  }

  /// A file of a client, and where it goes.
  private struct Upload {
    let file: WantedFile
    let bytes: [UInt8]
    /// A file for this client alone.
    let target: String
    let permissions: FileProbeInfo.Permissions
    let mode: FileWrite.Mode
  }

  /// - Throws: where it is no Base64, too large, or cannot be a file of the client's own.
  private func upload(
    _ document: Element, _ file: WantedFile, _ contents: any PathContents, _ client: ClientName
  ) throws -> Upload {
    guard let bytes = Base64.decode(Array((document.text ?? "").utf8)) else {
      throw PluginExecutionError("\(file.path) from \(client) is no Base64")
    }
    try core.settings.require(bytes.count, within: FileProbesOptions.standard.fileBytes)
    let limit = contents.limitBytes
    guard bytes.count <= limit else {
      throw PluginExecutionError(
        "\(file.path) from \(client) has \(bytes.count) bytes, [cfg] max_file_size is \(limit)")
    }
    let permissions = try FileProbeInfo.Permissions(document, defaults: core.settings.pathDefaults)
    return Upload(
      file: file, bytes: bytes, target: try contents.contentsPath(ofPath: file.path, for: client),
      permissions: permissions, mode: FileWrite.Mode(ofClient: document["mode"]))
  }

  /// Writes the files that Cfg lacks or that are to be updated. They are on disk when this returns.
  ///
  /// - Throws: `PluginExecutionError` where one cannot be written.
  private func write(_ uploads: [Upload], _ contents: any PathContents, _ metadata: ClientMetadata) async throws {
    for attempt in 1... {
      var new: [Upload] = []
      var updated: [Upload] = []
      for upload in uploads {
        switch await current(upload.file.path, contents, metadata) {
        case upload.bytes: debugLog("Existing \(upload.file.path) contents match probed contents")
        case nil: new.append(upload)
        default:
          if upload.file.update == "true" {
            updated.append(upload)
          } else {
            logger.info("Skipping updated probed file \(upload.target)")
          }
        }
      }
      if new.isEmpty && updated.isEmpty { return }
      for upload in new { logger.info("Writing new probed file \(upload.target)") }
      for upload in updated { logger.info("Writing updated probed file \(upload.target)") }
      do {
        try await write(new: new, updated: updated, below: contents.folder, of: metadata.hostname)
      } catch FileWriteError.changed(let path) where attempt < FileWriter.attemptLimit {
        logger.info("\(path) was saved by somebody else meanwhile, looking at it again")
        core.fileMonitor.processPending()
        continue
      } catch {
        let message = "Could not write \((new + updated).map(\.target).joined(separator: ", ")): \(error)"
        logger.error("\(message)")
        throw PluginExecutionError(message, forClients: "Could not write \(core.textForClients(error))")
      }
      await core.waitForHeldEdits()
      core.fileMonitor.processPending()
      for upload in new + updated where await current(upload.file.path, contents, metadata) != upload.bytes {
        logger.error("\(upload.file.path) still not registered")
      }
      return
    }
  }

  /// Writes files together, with the info.xml that new ones need. Tasks that change an info.xml run one after the other, so
  /// that the first uploads of many clients do not overtake each other; the others do not wait.
  private func write(new: [Upload], updated: [Upload], below top: String, of client: ClientName) async throws {
    for upload in new { try makeFolders(RepositoryPath.folder(of: upload.target), below: top) }
    let files = try (new + updated).map { upload throws(SystemError) in
      let old = try AtomicFile.version(of: upload.target, limitBytes: FileBacked.fileLimitBytes)
      return FileWrite(upload.bytes, to: upload.target, replacing: old, mode: upload.mode)
    }
    var left = files
    if try infos(new, client).isEmpty {
      try await core.loop.fileWriter.write(files)
      left = []
      // Another task may meanwhile have written the permissions of each client that has a file separately.
      if try infos(new, client).isEmpty { return }
    }
    try await infoTurn.run { try await core.loop.fileWriter.write(left + infos(new, client)) }
  }

  /// The info.xml of each new file that has to be made or changed.
  private func infos(_ new: [Upload], _ client: ClientName) throws(SystemError) -> [FileWrite] {
    var files: [FileWrite] = []
    for upload in new {
      let info = try FileProbeInfo(
        folder: RepositoryPath.folder(of: upload.target), defaults: core.settings.pathDefaults,
        encoding: core.settings.compatibility == .v1_3 ? core.settings.encoding : nil)
      guard let bytes = info.adding(upload.permissions, of: client) else { continue }
      logger.info("Writing \(info.path) for \(upload.file.path)")
      files.append(FileWrite(bytes, to: info.path, replacing: info.version, mode: .ordinary))
    }
    return files
  }

  /// The contents that a client would get; nil where it would get none.
  private func current(_ path: String, _ contents: any PathContents, _ metadata: ClientMetadata) async -> [UInt8]? {
    guard let binder = contents.binder(tag: "Path", name: path) else { return nil }
    let entry = Element("Path", ["name": path])
    do {
      switch binder {
      case .now(let bind): try bind(entry, metadata)
      case .nowOrLater(let bind, let later): if try !bind(entry, metadata) { try await later(entry, metadata) }
      case .later(let bind): try await bind(entry, metadata)
      }
    } catch {
      debugLog("\(path) for \(metadata.hostname): \(error)")
      return nil
    }
    let text = Array((entry.text ?? "").utf8)
    return entry["encoding"] == "base64" ? Base64.decode(text) : text
  }
}

/// `[fileprobes]`.
nonisolated struct FileProbesOptions: OptionGroup {
  static let standard = FileProbesOptions()

  let fileBytes = Option(
    "fileprobes", "file_bytes", .size, default: "4m", .ours,
    help: "The most bytes of a client's file that are taken into Cfg")
}
