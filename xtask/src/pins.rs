//! The pinned version of libtorch, the wheels that contain it, and the files extracted from each.
//!
//! Every wheel is pinned by its SHA-256, so that PyPI and its mirrors can deliver only the files that
//! were tested.

/// The version of libtorch that the pinned version of `tch` requires.
pub(crate) const LIBTORCH_VERSION: &str = "2.13.0";

/// A wheel on PyPI.
#[derive(Clone, Copy)]
pub(crate) struct Wheel {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// Name of the wheel's file.
    pub(crate) file: &'static str,
    pub(crate) sha256: &'static str,
    /// Size of the wheel's file, bytes.
    pub(crate) bytes: u64,
    /// Pairs of source and destination: a file, or a folder (ending in `/`) with all files below it, and
    /// its path in the installation.
    pub(crate) extract: &'static [(&'static str, &'static str)],
}

/// A variant of libtorch that evenkeel can install.
pub(crate) struct Bundle {
    /// Name of the installation's folder in the cache.
    pub(crate) folder: &'static str,
    /// Content of the installation's `build-version` file.
    pub(crate) version: &'static str,
    pub(crate) wheels: &'static [Wheel],
    /// Disk space needed during installation, bytes: the wheels and the files extracted from them.
    pub(crate) disk_bytes: u64,
    /// Linker script to write to `lib/libtorch.so`. `None` if the wheel's own library is used.
    pub(crate) linker_script: Option<&'static str>,
    /// Names and sizes in bytes of the files in `lib/`, to check an installation without a manifest.
    /// If empty, such an installation is always replaced.
    pub(crate) libraries: &'static [(&'static str, u64)],
    /// Number and total size in bytes of the headers, to check an installation without a manifest.
    pub(crate) headers: (usize, u64),
}

/// pip's options for the Python version of the wheels. The version is fixed so that one hash suffices
/// for all machines; that Python need not be installed.
pub(crate) const WHEEL_PYTHON: [&str; 6] = [
    "--implementation",
    "cp",
    "--python-version",
    "312",
    "--abi",
    "cp312",
];

/// The platform tags of the wheels. pip matches each tag literally.
pub(crate) const WHEEL_PLATFORMS: [&str; 8] = [
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_25_x86_64",
    "manylinux_2_18_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
    "manylinux_2_12_x86_64",
    "manylinux_2_5_x86_64",
];

/// libtorch for CPUs. PyPI has no wheel without CUDA, so this takes from the CUDA wheels only the files
/// that a CPU needs, including the CUDA runtime and CUPTI, to which `libtorch_cpu.so` is linked.
pub(crate) const CPU: Bundle = Bundle {
    folder: "libtorch-2.13.0-cpu",
    version: "2.13.0+cpu",
    wheels: &[
        torch(&[
            ("torch/include/", "include/"),
            ("torch/lib/libtorch_cpu.so", "lib/libtorch_cpu.so"),
            ("torch/lib/libc10.so", "lib/libc10.so"),
            ("torch/lib/libgomp.so.1", "lib/libgomp.so.1"),
        ]),
        cudart(&[("nvidia/cu13/lib/libcudart.so.13", "lib/libcudart.so.13")]),
        cupti(&[("nvidia/cu13/lib/libcupti.so.13", "lib/libcupti.so.13")]),
    ],
    disk_bytes: 1_200_000_000,
    linker_script: Some("INPUT(-ltorch_cpu)\n"),
    libraries: &[
        ("libtorch_cpu.so", 438_418_417),
        ("libc10.so", 1_623_185),
        ("libgomp.so.1", 254_009),
        ("libcudart.so.13", 704_288),
        ("libcupti.so.13", 4_152_208),
    ],
    headers: (9_443, 38_777_314),
};

/// libtorch with CUDA: the whole wheel and every NVIDIA library that it requires.
pub(crate) const CUDA: Bundle = Bundle {
    folder: "libtorch-2.13.0-cuda",
    version: "2.13.0+cu130",
    wheels: &[
        torch(&[("torch/include/", "include/"), ("torch/lib/", "lib/")]),
        cudart(&[("nvidia/cu13/lib/", "lib/")]),
        cupti(&[("nvidia/cu13/lib/", "lib/")]),
        Wheel {
            name: "nvidia-cublas",
            version: "13.1.1.3",
            file: "nvidia_cublas-13.1.1.3-py3-none-manylinux_2_27_x86_64.whl",
            sha256: "37936a16db8fe4ac1f065c2139360608a543a09275cb1a1af612e08cfa065436",
            bytes: 423_138_758,
            extract: &[("nvidia/cu13/lib/", "lib/")],
        },
        Wheel {
            name: "nvidia-cuda-nvrtc",
            version: "13.0.88",
            file: "nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
            sha256: "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575",
            bytes: 90_215_200,
            extract: &[("nvidia/cu13/lib/", "lib/")],
        },
        Wheel {
            name: "nvidia-cudnn-cu13",
            version: "9.20.0.48",
            file: "nvidia_cudnn_cu13-9.20.0.48-py3-none-manylinux_2_27_x86_64.whl",
            sha256: "0c45dd8eeb50b603f07995b1b300c62ffe6a1980482b82b3bcf94a4ca9d49304",
            bytes: 366_173_588,
            extract: &[("nvidia/cudnn/lib/", "lib/")],
        },
        Wheel {
            name: "nvidia-cufft",
            version: "12.0.0.61",
            file: "nvidia_cufft-12.0.0.61-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            sha256: "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3",
            bytes: 214_085_489,
            extract: &[("nvidia/cu13/lib/", "lib/")],
        },
        Wheel {
            name: "nvidia-cufile",
            version: "1.15.1.6",
            file: "nvidia_cufile-1.15.1.6-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            sha256: "08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44",
            bytes: 1_223_672,
            extract: &[("nvidia/cu13/lib/", "lib/")],
        },
        Wheel {
            name: "nvidia-curand",
            version: "10.4.0.35",
            file: "nvidia_curand-10.4.0.35-py3-none-manylinux_2_27_x86_64.whl",
            sha256: "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc",
            bytes: 59_544_258,
            extract: &[("nvidia/cu13/lib/", "lib/")],
        },
        Wheel {
            name: "nvidia-cusolver",
            version: "12.0.4.66",
            file: "nvidia_cusolver-12.0.4.66-py3-none-manylinux_2_27_x86_64.whl",
            sha256: "0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112",
            bytes: 200_941_980,
            extract: &[("nvidia/cu13/lib/", "lib/")],
        },
        Wheel {
            name: "nvidia-cusparse",
            version: "12.6.3.3",
            file: "nvidia_cusparse-12.6.3.3-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            sha256: "2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b",
            bytes: 145_942_937,
            extract: &[("nvidia/cu13/lib/", "lib/")],
        },
        Wheel {
            name: "nvidia-cusparselt-cu13",
            version: "0.8.1",
            file: "nvidia_cusparselt_cu13-0.8.1-py3-none-manylinux2014_x86_64.whl",
            sha256: "786ce87568c303fadb5afcc7102d454cd3040d75f6f8626f5db460d1871f4dd0",
            bytes: 170_148_586,
            extract: &[("nvidia/cusparselt/lib/", "lib/")],
        },
        Wheel {
            name: "nvidia-nccl-cu13",
            version: "2.29.7",
            file: "nvidia_nccl_cu13-2.29.7-py3-none-manylinux_2_18_x86_64.whl",
            sha256: "edd81538446786ec3b73972543e53bb43bcaf0bfc8ef76cb679fcc390ffe136d",
            bytes: 205_976_000,
            extract: &[("nvidia/nccl/lib/", "lib/")],
        },
        Wheel {
            name: "nvidia-nvjitlink",
            version: "13.5.37",
            file: "nvidia_nvjitlink-13.5.37-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
            sha256: "280d7cb9649704145f074b8dbde500de04ce02d0872e066e20a83c17bcaa93eb",
            bytes: 46_642_491,
            extract: &[("nvidia/cu13/lib/", "lib/")],
        },
        Wheel {
            name: "nvidia-nvshmem-cu13",
            version: "3.4.5",
            file: "nvidia_nvshmem_cu13-3.4.5-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            sha256: "290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80",
            bytes: 60_412_546,
            extract: &[("nvidia/nvshmem/lib/", "lib/")],
        },
        Wheel {
            name: "nvidia-nvtx",
            version: "13.0.85",
            file: "nvidia_nvtx-13.0.85-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl",
            sha256: "4936d1d6780fbe68db454f5e72a42ff64d1fd6397df9f363ae786930fd5c1cd4",
            bytes: 148_047,
            extract: &[("nvidia/cu13/lib/", "lib/")],
        },
    ],
    disk_bytes: 8_000_000_000,
    linker_script: None,
    libraries: &[],
    headers: (0, 0),
};

const fn torch(files: &'static [(&'static str, &'static str)]) -> Wheel {
    Wheel {
        name: "torch",
        version: LIBTORCH_VERSION,
        file: "torch-2.13.0-cp312-cp312-manylinux_2_28_x86_64.whl",
        sha256: "796633c4cdf0fe2cdced72d8f88f22e73dbcfce83132763162f6d4bff13b820b",
        bytes: 526_605_292,
        extract: files,
    }
}

const fn cudart(files: &'static [(&'static str, &'static str)]) -> Wheel {
    Wheel {
        name: "nvidia-cuda-runtime",
        version: "13.0.96",
        file: "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        bytes: 2_243_632,
        extract: files,
    }
}

const fn cupti(files: &'static [(&'static str, &'static str)]) -> Wheel {
    Wheel {
        name: "nvidia-cuda-cupti",
        version: "13.0.85",
        file: "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
        sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        bytes: 10_715_597,
        extract: files,
    }
}

impl Bundle {
    /// Returns the total size of the wheels, bytes.
    pub(crate) fn download_bytes(&self) -> u64 {
        self.wheels.iter().map(|wheel| wheel.bytes).sum()
    }

    /// Returns the content of a pip requirements file that lists the wheels with their hashes.
    pub(crate) fn requirements(&self) -> String {
        let line = |wheel: &Wheel| {
            format!(
                "{}=={} --hash=sha256:{}\n",
                wheel.name, wheel.version, wheel.sha256
            )
        };
        self.wheels.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wheel_has_a_hash_and_a_listed_platform() {
        for wheel in CPU.wheels.iter().chain(CUDA.wheels) {
            assert_eq!(wheel.sha256.len(), 64, "{}", wheel.name);
            let start = format!("{}-{}-", wheel.name.replace('-', "_"), wheel.version);
            assert!(wheel.file.starts_with(&start), "{}", wheel.file);
            let tags = wheel.file.trim_end_matches(".whl").rsplit('-').next();
            assert!(
                tags.unwrap()
                    .split('.')
                    .any(|tag| WHEEL_PLATFORMS.contains(&tag)),
                "{} has no platform tag listed in WHEEL_PLATFORMS",
                wheel.file
            );
        }
    }

    #[test]
    fn requirements_have_one_line_per_wheel() {
        let text = CPU.requirements();
        assert_eq!(text.lines().count(), 3);
        assert!(text.starts_with("torch==2.13.0 --hash=sha256:796633c4"));
    }
}
