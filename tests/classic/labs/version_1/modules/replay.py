"""Sources with the classes that mimoCoRB 1 brings along."""

from mimocorb.activity_logger import Gen_logger
from mimocorb.buffer_control import rbImport
from mimocorb.parquetReader import parquetReader
from mimocorb.pulseSimulator import pulseSimulator


def bring_in(source, sink_list, config_dict, events, rb_info):
    logger = Gen_logger("replay")
    names = [name for name, _ in sink_list[0]["dtype"]]
    source.init(
        number_of_channels=len(names),
        number_of_values=sink_list[0]["values_per_slot"],
        channel_names=names,
    )

    def waveforms():
        count = 0
        while count != events:
            data = source()
            if data is None:
                break
            count += 1
            yield data, None
        logger.warning("%d events", count)
        yield None, None

    rbImport(sink_list=sink_list, config_dict=config_dict, ufunc=waveforms, **rb_info)()


def recorded(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    bring_in(parquetReader(config_dict), sink_list, config_dict, None, rb_info)


def simulated(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    bring_in(pulseSimulator(config_dict), sink_list, config_dict, config_dict["eventcount"], rb_info)
