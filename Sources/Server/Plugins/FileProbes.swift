import EventLoop
import XMLRPC

/// Takes files of clients into Cfg: asks for them by probes, writes what is new as that host's.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/FileProbes.py.
final class FileProbesPlugin: Plugin, Probing {
  override class var name: String { "FileProbes" }

  private var config: StructFile!

  /// What a client sends goes into Cfg, whose files are watched.
  override var reportsChanges: Bool { true }

  required init(core: ServerCore) throws {
    try super.init(core: core)
    config = StructFile(
      path: folder + "/config.xml", monitor: core.fileMonitor, logger: logger, creatingTopTag: name)
    config.watch()
  }

  /// - Throws: `PluginExecutionError` where no plugin keeps contents of paths.
  private func contents() throws -> any PathContents {
    guard let plugin = core.plugins(of: (any PathContents).self).first else {
      throw PluginExecutionError("FileProbes needs the plugin Cfg")
    }
    return plugin
  }

  /// A file that config.xml names. What is neither `true` nor `false` asks for a file, but never overwrites one.
  private struct WantedFile {
    let path: String
    /// The attribute in lower case.
    let update: String
  }

  /// What config.xml says for a client, by path; of two for one path the last one counts.
  private func wanted(_ metadata: ClientMetadata) -> [WantedFile] {
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

  /// Those of them that the client is asked for. A file that Cfg does not have, and that is not to be updated, is not:
  /// 1.3.4 and 1.4 do so.
  private func asked(_ metadata: ClientMetadata, _ contents: any PathContents) -> [WantedFile] {
    wanted(metadata).filter { $0.update != "false" || contents.hasContents(ofPath: $0.path, metadata) }
  }

  func getProbes(_ metadata: ClientMetadata) throws -> [Element] {
    let contents = try contents()
    return asked(metadata, contents).map { file in
      debugLog("Adding file probe for \(file.path) to \(metadata.hostname)")
      let probe = Element("probe", ["name": file.path, "source": name, "interpreter": "/usr/bin/env python"])
      probe.text = FileProbeProgram.text(for: file.path)
      return probe
    }
  }

  func receiveData(_ metadata: ClientMetadata, _ data: [Element]) async throws {
    debugLog("Receiving file probe data from \(metadata.hostname)")
    for item in data {
      guard let text = item.text, !text.isEmpty else {
        logger.error("Got null response to \(item.name ?? "None") file probe from \(metadata.hostname)")
        continue
      }
      let document: Element
      do throws(XMLError) {
        document = try ClientDocument.parse(text)
      } catch {
        // What is no XML is what the program had to complain of.
        logger.error("\(text.beginning(bytes: 1024))")
        continue
      }
      try await take(document, metadata)
    }
  }

  /// Writes a client's file, unless Cfg has the same or it is not to be updated. It is on disk when this returns.
  ///
  /// - Throws: `PluginExecutionError` where the file is not asked for, is no Base64, or cannot be written.
  private func take(_ document: Element, _ metadata: ClientMetadata) async throws {
    let path = document.name ?? "None"
    let contents = try contents()
    guard let file = asked(metadata, contents).first(where: { Name.areSame($0.path, path) }) else {
      throw PluginExecutionError("\(path) is not asked for from \(metadata.hostname)")
    }
    guard let bytes = Base64.decode(Array((document.text ?? "").utf8)) else {
      throw PluginExecutionError("\(path) from \(metadata.hostname) is no Base64")
    }
    try core.settings.require(bytes.count, within: ClientDataOptions.standard.fileBytes)
    let limit = core.settings.value("cfg", "max_file_size")?.value.integer ?? bytes.count
    guard bytes.count <= limit else {
      throw PluginExecutionError(
        "\(path) from \(metadata.hostname) has \(bytes.count) bytes, [cfg] max_file_size is \(limit)")
    }
    let folder = try NamedFile.folder(path, below: contents.folder)
    let target = try NamedFile.path("\(RepositoryPath.name(of: folder)).H_\(metadata.hostname)", in: folder)
    for attempt in 1... {
      let known = await current(path, contents, metadata)
      if known == bytes {
        debugLog("Existing \(path) contents match probed contents")
        return
      }
      if known != nil, file.update != "true" {
        logger.info("Skipping updated probed file \(target)")
        return
      }
      logger.info("Writing \(known == nil ? "new" : "updated") probed file \(target)")
      do {
        let files = try files(target, bytes, document, isNew: known == nil)
        try makeFolders(folder, below: contents.folder)
        try await core.loop.fileWriter.write(files)
      } catch FileWriteError.changed(let path) where attempt < FileWriter.attemptLimit {
        logger.info("\(path) was saved by somebody else meanwhile, looking at it again")
        core.fileMonitor.processPending()
        continue
      } catch {
        let message = "Could not write \(target): \(error)"
        logger.error("\(message)")
        throw PluginExecutionError(message)
      }
      await core.waitForHeldEdits()
      core.fileMonitor.processPending()
      if await current(path, contents, metadata) != bytes { logger.error("\(path) still not registered") }
      return
    }
  }

  /// The client's file, and an info.xml with its permissions where there is none.
  private func files(
    _ target: String, _ bytes: [UInt8], _ document: Element, isNew: Bool
  ) throws(SystemError) -> [FileWrite] {
    let old = try AtomicFile.version(of: target, limitBytes: FileBacked.fileLimitBytes)
    var files = [
      FileWrite(bytes, to: target, replacing: old, mode: FileWrite.Mode(ofClient: document["mode"]))
    ]
    let info = RepositoryPath.folder(of: target) + "/info.xml"
    if isNew, !fileExists(info) {
      logger.info("Writing \(info) for \(document.name ?? "None")")
      files.append(FileWrite(infoXML(document), to: info, replacing: .missing, mode: .ordinary))
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
      case .later(let bind): try await bind(entry, metadata)
      }
    } catch {
      debugLog("\(path) for \(metadata.hostname): \(error)")
      return nil
    }
    let text = Array((entry.text ?? "").utf8)
    return entry["encoding"] == "base64" ? Base64.decode(text) : text
  }

  /// An info.xml with the permissions that the file has on the client.
  private func infoXML(_ document: Element) -> [UInt8] {
    let defaults = core.settings.pathDefaults
    var attributes = [
      ("owner", document["owner"] ?? defaults.owner), ("group", document["group"] ?? defaults.group),
      ("mode", document["mode"] ?? defaults.mode),
    ]
    if core.settings.compatibility == .bcfg213 { attributes.append(("encoding", core.settings.encoding)) }
    var text = Array("<FileInfo>\n  <Info".utf8)
    for (name, value) in attributes {
      text += Array(" \(name)=\"".utf8) + XMLEscape.escaped(Array(value.utf8), as: .attribute, encoding: .utf8)
      text.append(UInt8(ascii: "\""))
    }
    return text + Array("/>\n</FileInfo>\n".utf8)
  }
}

/// The program that tells a client's file: permissions and contents as an XML element.
private enum FileProbeProgram {
  static func text(for path: String) -> String {
    """
    #!/usr/bin/env python
    import base64, grp, os, pwd, stat, sys
    from xml.sax.saxutils import quoteattr

    def name_of(find, number):
        try:
            return find(number)[0]
        except KeyError:
            return str(number)

    def utf8(data):
        return data.decode("UTF-8") if sys.version_info[0] > 2 else data

    path = utf8(\(literal(path)))

    # Errors are told, but never by an exit status: that could end the client's run.
    try:
        status = os.stat(path)
        data = open(path, "rb").read()
    except (IOError, OSError):
        sys.stderr.write("Could not read %s: %s\\n" % (path, sys.exc_info()[1]))
        sys.exit(0)
    attributes = [("name", path), ("owner", name_of(pwd.getpwuid, status.st_uid)),
                  ("group", name_of(grp.getgrgid, status.st_gid)),
                  ("mode", "%04o" % stat.S_IMODE(status.st_mode))]
    print("<ProbedFileData %s>%s</ProbedFileData>"
          % (" ".join("%s=%s" % (key, quoteattr(value)) for key, value in attributes),
             utf8(base64.b64encode(data))))

    """
  }

  /// The path as bytes that Python 2 and 3 read alike.
  private static func literal(_ path: String) -> String {
    var text = "b\""
    for byte in path.utf8 {
      switch byte {
      case UInt8(ascii: "\\"), UInt8(ascii: "\""): text += "\\" + String(UnicodeScalar(byte))
      case 0x20..<0x7F: text.unicodeScalars.append(UnicodeScalar(byte))
      default: text += byte < 0x10 ? "\\x0" + String(byte, radix: 16) : "\\x" + String(byte, radix: 16)
      }
    }
    return text + "\""
  }
}
