/// The Python program that a renderer runs: part of this executable, sent to each renderer over its socket.
enum RendererProgram {
  /// What Python is given with `-c`, and so what ps shows until the process has its title: it reads `bootstrap` from the
  /// socket, whose number is its first argument.
  static var start: String {
    let count = PackageResources.bootstrap_py.count
    return """
      # bcfg2-renderer
      import os, sys
      socket, program = int(sys.argv[1]), b''
      while len(program) < \(count):
          program += os.read(socket, \(count) - len(program)) or sys.exit(0)
      exec(program)
      """
  }

  /// What comes first on the socket.
  static var bootstrap: [UInt8] { PackageResources.bootstrap_py }

  /// The modules of the package `bcfg2_renderer`, by name.
  static var modules: [(name: String, source: [UInt8])] {
    [
      ("wire", PackageResources.wire_py), ("trace", PackageResources.trace_py),
      ("values", PackageResources.values_py), ("properties", PackageResources.properties_py),
      ("genshicode", PackageResources.genshicode_py), ("engines", PackageResources.engines_py),
      ("division", PackageResources.division_py), ("helpers", PackageResources.helpers_py),
      ("errors", PackageResources.errors_py), ("system", PackageResources.system_py),
      ("title", PackageResources.title_py), ("textoutput", PackageResources.textoutput_py),
      ("textparse", PackageResources.textparse_py), ("textsteps", PackageResources.textsteps_py),
      ("queries", PackageResources.queries_py), ("main", PackageResources.main_py),
    ]
  }
}
