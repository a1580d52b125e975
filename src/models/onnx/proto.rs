//! The messages of onnx.proto, as far as image classifiers need them. Weights stay slices of the file.

use super::wire::{Fields, Wire};

/// ModelProto.
#[derive(Debug, Default)]
pub(super) struct Model<'a> {
    pub graph: Option<Graph<'a>>,
    /// (domain, version)
    pub opsets: Vec<(String, i64)>,
    pub metadata: Vec<(String, String)>,
}

/// GraphProto.
#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    pub nodes: Vec<Node<'a>>,
    pub initializers: Vec<Tensor<'a>>,
    pub inputs: Vec<ValueInfo>,
    pub outputs: Vec<ValueInfo>,
}

/// NodeProto.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub name: String,
    pub op: String,
    pub attributes: Vec<Attribute<'a>>,
    pub domain: String,
}

/// AttributeProto: a value of one of its types.
#[derive(Debug, Default)]
pub(super) struct Attribute<'a> {
    pub name: String,
    pub float: Option<f32>,
    pub int: Option<i64>,
    pub text: Option<String>,
    pub tensor: Option<Tensor<'a>>,
    pub floats: Vec<f32>,
    pub ints: Vec<i64>,
}

/// TensorProto.
#[derive(Debug, Default)]
pub(super) struct Tensor<'a> {
    pub name: String,
    pub dims: Vec<i64>,
    pub data_type: i64,
    pub raw: Option<&'a [u8]>,
    /// `float_data` or `double_data`.
    pub floats: Vec<f32>,
    /// `int32_data`, `int64_data` or `uint64_data`.
    pub ints: Vec<i64>,
    /// Where the data is, if in another file.
    pub external: Option<Vec<(String, String)>>,
}

/// ValueInfoProto of a tensor; a size that is not fixed is `None`.
#[derive(Debug, Default)]
pub(super) struct ValueInfo {
    pub name: String,
    pub dims: Vec<Option<i64>>,
}

type Parsed<T> = Result<T, String>;

/// Visits the fields of a message.
fn fields<'a>(bytes: &'a [u8], mut visit: impl FnMut(u64, Wire<'a>) -> Parsed<()>) -> Parsed<()> {
    Fields::new(bytes).try_for_each(|field| field.and_then(|(number, value)| visit(number, value)))
}

/// The model in a file's bytes.
pub(super) fn model(bytes: &[u8]) -> Parsed<Model<'_>> {
    let mut model = Model::default();
    fields(bytes, |number, value| {
        match number {
            7 => model.graph = Some(graph(value.bytes()?)?),
            8 => {
                let (mut domain, mut version) = (String::new(), 0);
                fields(value.bytes()?, |number, value| {
                    match number {
                        1 => domain = value.text()?,
                        2 => version = value.int()?,
                        _ => {}
                    }
                    Ok(())
                })?;
                model.opsets.push((domain, version));
            }
            14 => model.metadata.push(pair(value.bytes()?)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(model)
}

fn graph(bytes: &[u8]) -> Parsed<Graph<'_>> {
    let mut graph = Graph::default();
    fields(bytes, |number, value| {
        match number {
            1 => graph.nodes.push(node(value.bytes()?)?),
            5 => graph.initializers.push(tensor(value.bytes()?)?),
            11 => graph.inputs.push(value_info(value.bytes()?)?),
            12 => graph.outputs.push(value_info(value.bytes()?)?),
            15 => return Err("sparse weights are not supported; export the model with dense ones".into()),
            _ => {}
        }
        Ok(())
    })?;
    Ok(graph)
}

fn node(bytes: &[u8]) -> Parsed<Node<'_>> {
    let mut node = Node::default();
    fields(bytes, |number, value| {
        match number {
            1 => node.inputs.push(value.text()?),
            2 => node.outputs.push(value.text()?),
            3 => node.name = value.text()?,
            4 => node.op = value.text()?,
            5 => node.attributes.push(attribute(value.bytes()?)?),
            7 => node.domain = value.text()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(node)
}

fn attribute(bytes: &[u8]) -> Parsed<Attribute<'_>> {
    let mut attribute = Attribute::default();
    fields(bytes, |number, value| {
        match number {
            1 => attribute.name = value.text()?,
            2 => attribute.float = Some(value.float()?),
            3 => attribute.int = Some(value.int()?),
            4 => attribute.text = Some(value.text()?),
            5 => attribute.tensor = Some(tensor(value.bytes()?)?),
            7 => value.floats(&mut attribute.floats)?,
            8 => value.ints(&mut attribute.ints)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(attribute)
}

fn tensor(bytes: &[u8]) -> Parsed<Tensor<'_>> {
    let mut tensor = Tensor::default();
    let (mut external, mut elsewhere) = (Vec::new(), false);
    fields(bytes, |number, value| {
        match number {
            1 => value.ints(&mut tensor.dims)?,
            2 => tensor.data_type = value.int()?,
            4 => value.floats(&mut tensor.floats)?,
            5 | 7 | 11 => value.ints(&mut tensor.ints)?,
            8 => tensor.name = value.text()?,
            9 => tensor.raw = Some(value.bytes()?),
            10 => value.doubles(&mut tensor.floats)?,
            13 => external.push(pair(value.bytes()?)?),
            14 => elsewhere = value.int()? == 1,
            _ => {}
        }
        Ok(())
    })?;
    tensor.external = elsewhere.then_some(external);
    Ok(tensor)
}

fn pair(bytes: &[u8]) -> Parsed<(String, String)> {
    let mut pair = (String::new(), String::new());
    fields(bytes, |number, value| {
        match number {
            1 => pair.0 = value.text()?,
            2 => pair.1 = value.text()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(pair)
}

fn value_info(bytes: &[u8]) -> Parsed<ValueInfo> {
    let mut info = ValueInfo::default();
    fields(bytes, |number, value| {
        match number {
            1 => info.name = value.text()?,
            // TypeProto.tensor_type.shape.dim
            2 => fields(value.bytes()?, |number, value| match number {
                1 => fields(value.bytes()?, |number, value| match number {
                    2 => fields(value.bytes()?, |number, value| match number {
                        1 => dimension(value.bytes()?).map(|dim| info.dims.push(dim)),
                        _ => Ok(()),
                    }),
                    _ => Ok(()),
                }),
                _ => Ok(()),
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(info)
}

fn dimension(bytes: &[u8]) -> Parsed<Option<i64>> {
    let mut size = None;
    fields(bytes, |number, value| {
        if number == 1 {
            size = Some(value.int()?).filter(|size| *size > 0);
        }
        Ok(())
    })?;
    Ok(size)
}
