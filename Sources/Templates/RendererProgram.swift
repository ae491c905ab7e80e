/// The Python program that a renderer runs: part of this executable, sent to each renderer over its socket.
enum RendererProgram {
  /// What Python is given with `-c`; its argument is the socket's number.
  static var bootstrap: String { String(decoding: PackageResources.bootstrap_py, as: UTF8.self) }

  /// The modules of the package `bcfg2_renderer`, by name.
  static var modules: [(name: String, source: [UInt8])] {
    [
      ("wire", PackageResources.wire_py), ("trace", PackageResources.trace_py),
      ("values", PackageResources.values_py), ("properties", PackageResources.properties_py),
      ("genshicode", PackageResources.genshicode_py), ("engines", PackageResources.engines_py),
      ("division", PackageResources.division_py), ("helpers", PackageResources.helpers_py),
      ("errors", PackageResources.errors_py), ("system", PackageResources.system_py),
      ("title", PackageResources.title_py), ("textoutput", PackageResources.textoutput_py),
      ("textsteps", PackageResources.textsteps_py), ("main", PackageResources.main_py),
    ]
  }
}
