import Glibc

// The targets that need more than the module XMLRPC: one program, whose first argument names the target. Built by scripts/fuzz.sh.

/// libFuzzer's own main function, given the target's.
@_silgen_name("LLVMFuzzerRunDriver")
nonisolated private func runFuzzer(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

nonisolated(unsafe) private var target: @MainActor ([UInt8]) -> Void = { _ in }

/// libFuzzer calls on the thread that runs it, the main one.
nonisolated private func fuzzOne(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  MainActor.assumeIsolated { target(bytes) }
  return 0
}

@main
enum ServerFuzz {
  static func main() {
    switch CommandLine.arguments.dropFirst().first {
    case "proxy-header": target = fuzzProxyHeader
    case "renderer-frames": target = fuzzRendererFrames
    case "repository-xml": target = fuzzRepositoryXML
    case "probe-data": target = fuzzProbeData
    case "configuration": target = fuzzConfiguration
    case "json": target = fuzzJSON
    case "probe-output": target = fuzzProbeOutput
    case "regex": target = fuzzRegex
    case "yaml": target = fuzzYAML
    case "debian-packages": target = fuzzDebianPackages
    case "mirror-release": target = fuzzRelease
    case "yum-primary": target = fuzzYumPrimary
    case "yum-comps": target = fuzzYumComps
    case "yum-modules": target = fuzzYumModules
    case "pacman-database": target = fuzzPacman
    case "freebsd-catalogue": target = fuzzPackageSite
    case "decompressor": target = fuzzDecompressor
    case "report-segment": target = fuzzReportSegment
    case "pickle": target = fuzzPickle
    case "certificates": target = fuzzCertificates
    case "ignore-file": target = fuzzIgnoreFile
    case "instance-answer": target = fuzzInstanceAnswer
    case "tag-message": target = fuzzTagMessage
    case "log-record": target = fuzzLogRecord
    case "service-environment": target = fuzzServiceEnvironment
    default: fatalError("the first argument is the name of a target")
    }
    // The target's name takes the place of the program's.
    var count = CommandLine.argc - 1
    var arguments = CommandLine.unsafeArgv + 1
    exit(runFuzzer(&count, &arguments, fuzzOne))
  }
}
