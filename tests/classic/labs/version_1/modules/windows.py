"""Windows, as the modules that come with mimoCoRB 1 open them."""

import matplotlib  # noqa: ICN001
from mimocorb.histogram_buffer import histogram_buffer
from mimocorb.plot_buffer import plot_buffer

matplotlib.use("TkAgg")


def waveform_window(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    plot_buffer(source_list, sink_list, observe_list, config_dict, **rb_info)()


def histogram_window(source_list=None, sink_list=None, observe_list=None, config_dict=None, **rb_info):
    histogram_buffer(source_list, sink_list, observe_list, config_dict, **rb_info)()
